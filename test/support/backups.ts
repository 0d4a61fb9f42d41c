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
  await copyDatabase(url, { from: name, to: copy });
  return {
    change: (sql) => withServer(url, async (client) => void (await client.query(sql)), copy),
    async restore() {
      await withServer(url, (client) => dropDatabase(client, name));
      await copyDatabase(url, { from: copy, to: name });
    },
  };
}

/** Nobody may be connected to what is copied. */
async function copyDatabase(url: string, { from, to }: { from: string; to: string }) {
  await withServer(url, async (client) => {
    const source = pg.escapeIdentifier(from);
    await client.query(`ALTER DATABASE ${source} ALLOW_CONNECTIONS false`);
    try {
      await until(`a copy of ${from}`, async () => {
        await client.query(
          `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1`,
          [from],
        );
        await client.query(`CREATE DATABASE ${pg.escapeIdentifier(to)} TEMPLATE ${source}`);
        return true;
      });
    } finally {
      await client.query(`ALTER DATABASE ${source} ALLOW_CONNECTIONS true`);
    }
    await client.query(`ALTER DATABASE ${pg.escapeIdentifier(to)} ALLOW_CONNECTIONS true`);
  });
}

async function dropDatabase(client: pg.Client, name: string): Promise<void> {
  await client.query(`DROP DATABASE ${pg.escapeIdentifier(name)} WITH (FORCE)`);
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
