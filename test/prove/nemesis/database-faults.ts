import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { TestInstance } from '../../support/instance.ts';
import { takeBackup } from '../../support/backups.ts';
import { queryAt } from '../../support/postgres-server.ts';
import { until } from '../../support/until.ts';
import type { Fault, Stage } from './fault.ts';

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
    strike: async ({ instance }) =>
      Math.min(await terminate(instance, await sessions(instance)), 1),
  },
  {
    name: 'destination read-only',
    strike: (stage) =>
      withSetting(stage, {
        set: (name) => `ALTER DATABASE ${name} SET default_transaction_read_only = on`,
        unset: (name) => `ALTER DATABASE ${name} RESET default_transaction_read_only`,
      }),
  },
  {
    name: 'destination takes no connections',
    strike: (stage) =>
      withSetting(stage, {
        set: (name) => `ALTER DATABASE ${name} CONNECTION LIMIT 0`,
        unset: (name) => `ALTER DATABASE ${name} CONNECTION LIMIT -1`,
      }),
  },
  {
    name: 'catalog read-only',
    strike: (stage) =>
      withSetting(stage, {
        of: 'catalog',
        set: (name) => `ALTER DATABASE ${name} SET default_transaction_read_only = on`,
        unset: (name) => `ALTER DATABASE ${name} RESET default_transaction_read_only`,
      }),
  },
  {
    name: 'catalog takes no connections',
    strike: (stage) =>
      withSetting(stage, {
        of: 'catalog',
        set: (name) => `ALTER DATABASE ${name} CONNECTION LIMIT 0`,
        unset: (name) => `ALTER DATABASE ${name} CONNECTION LIMIT -1`,
      }),
  },
  restored('warehouse'),
  restored('archive'),
  {
    name: 'lock held on target tables',
    async strike(stage) {
      const client = new pg.Client({ connectionString: urlOf(stage, pickDestination(stage)) });
      client.on('error', () => undefined);
      await client.connect();
      await client.query('BEGIN');
      await client.query('LOCK TABLE app.app, shop.orders, depot.parts IN ACCESS EXCLUSIVE MODE');
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
  /** By default some destination. */
  readonly of?: 'catalog';
  readonly set: (database: string) => string;
  readonly unset: (database: string) => string;
}

async function withSetting(stage: Stage, { of, set, unset }: Setting): Promise<number> {
  const url = new URL(urlOf(stage, of ?? pickDestination(stage)));
  const name = decodeURIComponent(url.pathname.slice(1));
  url.pathname = '/postgres';
  const say = (sql: string) => queryAt(url.toString(), sql);
  const forget = () =>
    say(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${name}'`);
  try {
    await say(set(name));
    await forget();
    await sleep(6_000);
    return 1;
  } finally {
    // Another fault may have its server away. Sessions keep what they began with.
    const undo = async () => [await say(unset(name)), await forget()];
    await until(`${name} to be as it was`, undo, 180_000);
  }
}

type Destination = 'warehouse' | 'archive';

function pickDestination({ random }: Stage): Destination {
  return random.pick(['warehouse', 'archive'] as const);
}

/** Not by a proxy. */
function urlOf({ instance, network }: Stage, name: Destination | 'catalog'): string {
  if (name === 'catalog') return instance.urls.catalogUrl;
  return name === 'archive' ? network.archiveUrl : (instance.urls.destinations[name] ?? '');
}

/** What was loaded meanwhile is gone from the destination; a person says `recover`. */
function restored(name: Destination): Fault {
  return {
    name: `${name} restored from an older backup`,
    async strike(stage) {
      const { instance, random } = stage;
      const backup = await takeBackup(urlOf(stage, name));
      await sleep(1_000 + random.below(4_000));
      await backup.restore();
      await until('recover', async () => (await instance.cli('recover')).code === 0, 120_000);
      return 1;
    },
  };
}
