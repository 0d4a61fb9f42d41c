import pg from 'pg';
import { ensureDatabase } from '../local/postgres-databases.ts';
import type { TestInstance } from '../test/support/instance.ts';

/** A database of an application, in the embedded server of an instance; answers its url. */
export async function openShop({ urls }: TestInstance, tables: string): Promise<string> {
  const base = new URL(urls.catalogUrl);
  base.pathname = '';
  const url = await ensureDatabase(base.toString().replace(/\/$/, ''), 'shop');
  await queryShop(url, [tables]);
  return url;
}

/** Runs statements one after the other, on a connection of their own. */
export async function queryShop(url: string, statements: readonly string[]): Promise<void> {
  await using shop = await connectShop(url);
  for (const statement of statements) await shop.client.query(statement);
}

export async function connectShop(
  url: string,
): Promise<AsyncDisposable & { readonly client: pg.Client }> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined); // the query that meets it says so
  await client.connect();
  return { client, [Symbol.asyncDispose]: () => client.end() };
}
