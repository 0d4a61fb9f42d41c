import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { TestInstance } from '../../support/instance.ts';
import { until } from '../../support/until.ts';
import type { Fault } from './fault.ts';

/** What an administrator, or somebody else's session, does to the databases. */
export const databaseFaults: readonly Fault[] = [
  {
    name: 'sessions terminated at random',
    async strike({ instance, random }) {
      let times = 0;
      for (let round = 0; round < 6; round += 1) {
        const pids = await sessions(instance);
        if (pids.length > 0) times += await terminate(instance, [random.pick(pids)]);
        await sleep(300);
      }
      return times;
    },
  },
  {
    name: 'all sessions terminated',
    strike: async ({ instance }) => terminate(instance, await sessions(instance)),
  },
  {
    name: 'destination read-only',
    strike: ({ instance, random }) =>
      withSetting(instance, random.pick(['warehouse', 'archive']), {
        set: (name) => `ALTER DATABASE ${name} SET default_transaction_read_only = on`,
        unset: (name) => `ALTER DATABASE ${name} RESET default_transaction_read_only`,
      }),
  },
  {
    name: 'destination takes no connections',
    strike: ({ instance, random }) =>
      withSetting(instance, random.pick(['warehouse', 'archive']), {
        set: (name) => `ALTER DATABASE ${name} CONNECTION LIMIT 0`,
        unset: (name) => `ALTER DATABASE ${name} CONNECTION LIMIT -1`,
      }),
  },
  {
    name: 'lock held on target tables',
    async strike({ instance, random }) {
      const url = instance.urls.destinations[random.pick(['warehouse', 'archive'])];
      const client = new pg.Client({ connectionString: url });
      client.on('error', () => undefined);
      await client.connect();
      await client.query('BEGIN');
      await client.query('LOCK TABLE app.app, shop.orders IN ACCESS EXCLUSIVE MODE');
      await sleep(5_000);
      await client.end();
      return 1;
    },
  },
];

/** Of the product, in all databases of the server, by the catalog's side. */
async function sessions(instance: TestInstance): Promise<readonly number[]> {
  const rows = await instance.catalog<{ pid: number }>(
    `SELECT pid FROM pg_stat_activity
      WHERE usename = current_user AND pid <> pg_backend_pid() AND datname IS NOT NULL`,
  );
  return rows.map(({ pid }) => pid);
}

async function terminate(instance: TestInstance, pids: readonly number[]): Promise<number> {
  const rows = await instance.catalog<{ done: boolean }>(
    'SELECT pg_terminate_backend(pid) AS done FROM unnest($1::int[]) AS pid',
    [pids],
  );
  return rows.filter(({ done }) => done).length;
}

interface Setting {
  readonly set: (database: string) => string;
  readonly unset: (database: string) => string;
}

async function withSetting(instance: TestInstance, database: string, { set, unset }: Setting) {
  await instance.catalog(set(database));
  await terminate(instance, await sessions(instance));
  await sleep(6_000);
  await until('the database to be as it was', async () => {
    await instance.catalog(unset(database));
    return true;
  });
  await terminate(instance, await sessions(instance)); // sessions keep what they began with
  return 1;
}
