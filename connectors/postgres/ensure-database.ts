import { PostgresConnections } from './connection.ts';
import { sqlStateOf } from './errors.ts';
import { quoteName } from './sql-names.ts';

/** Creates the database of a url where it is missing; two at once do no harm. */
export async function ensureDatabase(url: string, signal: AbortSignal): Promise<void> {
  const name = decodeURIComponent(new URL(url).pathname.slice(1));
  const maintenance = new URL(url);
  maintenance.pathname = '/postgres';
  await using connections = new PostgresConnections(maintenance.toString(), 1);
  await connections.run(signal, async (client) => {
    const found = await client.query('SELECT FROM pg_database WHERE datname = $1', [name]);
    if (found.rowCount !== 0) return;
    try {
      await client.query(`CREATE DATABASE ${quoteName(name)} TEMPLATE template0`);
    } catch (error) {
      if (!['42P04', '23505'].includes(sqlStateOf(error) ?? '')) throw error;
    }
  });
}
