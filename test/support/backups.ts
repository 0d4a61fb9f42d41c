import pg from 'pg';
import { until } from './until.ts';

/** A copy of a database in the same server, as a backup. */
export interface Backup {
  /** Changes what will be restored. */
  change(sql: string): Promise<void>;
  /** Puts the database back to where it was then, under whoever is connected. */
  restore(): Promise<void>;
}

export async function takeBackup(url: string): Promise<Backup> {
  const name = decodeURIComponent(new URL(url).pathname.slice(1));
  const copy = `${name}_backup_${process.hrtime.bigint()}`;
  try {
    await until(`a copy of ${name}`, async () => {
      await copyDatabase(url, { from: name, to: copy });
      return true;
    });
  } finally {
    await until(`${name} to let us in again`, async () => {
      await allowConnections(url, name);
      return true;
    });
  }
  return {
    change: (sql) => withServer(url, async (client) => void (await client.query(sql)), copy),
    async restore() {
      // A fault may strike in the middle: what was dropped has to come back.
      await until(`${name} to be restored`, async () => {
        await copyDatabase(url, { from: copy, to: name });
        return true;
      });
    },
  };
}

/** In place of what is there under the name. Nobody may be connected to what is copied. */
async function copyDatabase(url: string, { from, to }: { from: string; to: string }) {
  await withServer(url, async (client) => {
    const source = pg.escapeIdentifier(from);
    await client.query(`ALTER DATABASE ${source} ALLOW_CONNECTIONS false`);
    await client.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1`,
      [from],
    );
    await client.query(`DROP DATABASE IF EXISTS ${pg.escapeIdentifier(to)} WITH (FORCE)`);
    await client.query(`CREATE DATABASE ${pg.escapeIdentifier(to)} TEMPLATE ${source}`);
    await client.query(`ALTER DATABASE ${pg.escapeIdentifier(to)} ALLOW_CONNECTIONS true`);
  });
}

async function allowConnections(url: string, name: string): Promise<void> {
  const database = pg.escapeIdentifier(name);
  await withServer(url, async (client) => {
    await client.query(`ALTER DATABASE ${database} ALLOW_CONNECTIONS true`);
  });
}

async function withServer(
  url: string,
  work: (client: pg.Client) => Promise<void>,
  database = 'postgres',
): Promise<void> {
  const server = new URL(url);
  server.pathname = `/${database}`;
  const client = new pg.Client({ connectionString: server.href });
  client.on('error', () => undefined); // faults strike it between two statements too
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}
