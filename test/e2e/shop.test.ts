import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ensureDatabase } from '../../local/postgres-databases.ts';
import { startInstance, type TestInstance } from '../support/instance.ts';
import { queryAt } from '../support/postgres-server.ts';
import { until } from '../support/until.ts';

/** Tables of an application that goes on writing while they are followed. */
const config = (url: string) => `
destinations:
  warehouse: { type: postgres }
sources:
  shop:
    type: postgres
    url: ${url}
    tables:
      public.orders: { cursor: updated_at }
      crm.customers: { key: [country, number], cursor: changed, nulls: first }
      public.prices:
      public.visits: { cursor: id }
pipelines:
  shop: { source: shop, destinations: [warehouse] }
`;

const tables = `
CREATE SCHEMA crm;
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, amount numeric NOT NULL,
  state text, details jsonb, updated_at timestamptz NOT NULL DEFAULT now());
CREATE INDEX ON orders (updated_at);
CREATE TABLE crm.customers (country char(2), number int, name text, changed timestamp,
  PRIMARY KEY (country, number));
CREATE TABLE prices (sku text, price numeric(10,2));
CREATE TABLE visits (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz DEFAULT now());
INSERT INTO orders (amount, state, details) SELECT n * 0.01, 'new', jsonb_build_object('n', n, 'tags', array['a', 'b'])
  FROM generate_series(1, 8000) n;
INSERT INTO crm.customers SELECT 'de', n, 'name ' || n, NULL FROM generate_series(1, 500) n;
INSERT INTO prices SELECT 'sku ' || n, n FROM generate_series(1, 1000) n;
INSERT INTO visits (at) SELECT now() FROM generate_series(1, 3000)`;

/** What a row is in both databases, as text. */
const columns = {
  orders: 'id::text, amount::text, state, details::text, extract(epoch FROM updated_at)::text',
  crm_customers: 'country::text, number::text, name, changed::text',
  prices: 'sku, price::text',
  visits: 'id::text, extract(epoch FROM at)::text',
};
type Stream = keyof typeof columns;

let instance: TestInstance;
let url: string;

beforeAll(async () => {
  instance = await startInstance({
    config: 'destinations: { warehouse: { type: postgres } }\n',
    environment: { MILLRACE_MAX_BATCH_BYTES: String(32 * 1024) },
  });
  const base = new URL(instance.urls.catalogUrl);
  base.pathname = '';
  url = await ensureDatabase(base.toString().replace(/\/$/, ''), 'shop');
  await queryAt(url, tables);
  await instance.write('millrace.yaml', config(url));
}, 120_000);
afterAll(() => instance?.[Symbol.asyncDispose]());

async function expectSame(...streams: readonly Stream[]): Promise<void> {
  for (const stream of streams) {
    const list = `SELECT row_to_json(r)::text AS row FROM (SELECT ${columns[stream]} FROM`;
    const table = stream === 'crm_customers' ? 'crm.customers' : stream;
    const ours = await instance.warehouse<{ row: string }>(`${list} shop.${stream}) r ORDER BY 1`);
    const theirs = await queryAt<{ row: string }>(url, `${list} ${table}) r ORDER BY 1`);
    expect(ours.length, stream).toBe(theirs.length);
    expect(ours, stream).toEqual(theirs);
  }
}

/** Transactions of an application until told to stop; one in eight stays open behind the others. */
async function write(isDone: () => boolean, seed: number): Promise<number> {
  const [quick, slow] = [await connect(), await connect()];
  let count = 0;
  for (; !isDone(); count += 1) {
    const isSlow = count % 8 === 0;
    if (isSlow) {
      if (count > 0) await slow.query('COMMIT');
      await slow.query('BEGIN');
    }
    await change(isSlow ? slow : quick, seed + count);
  }
  await slow.query('COMMIT');
  await Promise.all([quick.end(), slow.end()]);
  return count;
}

async function connect(): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  return client;
}

/** Each writer has rows of its own (by its seed): a transaction that stays open must not block. */
async function change(client: pg.Client, n: number): Promise<void> {
  const ids = Array.from({ length: 20 }, (_, at) => 1 + ((n * 7_919 + at * 104_729) % 8_000));
  const statement = `UPDATE orders SET amount = amount + 0.01, state = $2, updated_at = now()
      WHERE id IN (SELECT id FROM orders WHERE id = ANY($1) FOR UPDATE SKIP LOCKED)`;
  await client.query(statement, [ids, `state ${n}`]);
  await client.query('INSERT INTO orders (amount) VALUES ($1)', [n]);
  await client.query('INSERT INTO visits DEFAULT VALUES');
  await client.query(
    `INSERT INTO crm.customers VALUES ('at', $1, 'new', now())
         ON CONFLICT (country, number) DO UPDATE SET name = EXCLUDED.name, changed = now()`,
    [n],
  );
}

describe('a shop', () => {
  test('can be checked, and says what it has', async () => {
    expect(await instance.cli('apply')).toMatchObject({ code: 0 });
    const { code, stderr } = await instance.cli('source', 'check', 'shop');
    expect(code).toBe(0);
    expect(stderr).toMatch(/public\.orders.*deleted.*stay in the warehouse/);
    expect(await instance.json(['source', 'discover', 'shop'])).toEqual([
      { lane: 'public.orders', stream: 'orders' },
      { lane: 'public.prices', stream: 'prices' },
      { lane: 'public.visits', stream: 'visits' },
      { lane: 'crm.customers', stream: 'crm_customers' },
    ]);
  });

  test('is in the warehouse row for row after a worker was killed while it was being written', async () => {
    let isDone = false;
    const writing = [10_000, 20_000].map((seed) => write(() => isDone, seed));
    await instance.json(['sync', '--no-wait']);
    await until('the middle of the load', async () => (await settled()) >= 4);
    process.kill(await instance.pidOf('worker'), 'SIGKILL');
    await until('more of it', async () => (await settled()) >= 12, 120_000);
    isDone = true;
    const counts = await Promise.all(writing);
    expect(Math.min(...counts)).toBeGreaterThan(16);
    await instance.json(['sync']);
    await expectSame('orders', 'crm_customers', 'prices', 'visits');
  });

  test('has tables with the types and keys that the source declares', async () => {
    const found = await instance.warehouse<{ name: string; type: string }>(
      `SELECT attname AS name, format_type(atttypid, atttypmod) AS type FROM pg_attribute
        WHERE attrelid = 'shop.orders'::regclass AND attnum > 0 AND attname !~ '^_' ORDER BY attnum`,
    );
    expect(found).toEqual([
      { name: 'id', type: 'bigint' },
      { name: 'amount', type: 'numeric' },
      { name: 'state', type: 'text' },
      { name: 'details', type: 'jsonb' },
      { name: 'updated_at', type: 'timestamp with time zone' },
    ]);
    const doubles = await instance.warehouse(
      `SELECT id FROM shop.orders GROUP BY id HAVING count(*) > 1`,
    );
    expect(doubles).toEqual([]);
  });

  test('has a table without cursor replaced with each sync, also when it was emptied', async () => {
    await queryAt(url, `DELETE FROM prices WHERE price > 10; UPDATE prices SET price = price + 1`);
    await instance.json(['sync']);
    await expectSame('prices');
    await queryAt(url, 'DELETE FROM prices');
    await instance.json(['sync']);
    await expectSame('prices');
    await queryAt(url, `INSERT INTO prices VALUES ('again', 1)`);
    await instance.json(['sync']);
    await expectSame('prices');
  });

  test('stops one table alone that was dropped, under its name, until it is back', async () => {
    await queryAt(url, 'ALTER TABLE visits RENAME TO visits_away');
    await queryAt(url, `INSERT INTO orders (amount) VALUES (-1)`);
    const { code, stderr } = await instance.cli('sync');
    expect(stderr).toContain('table public.visits is not there');
    expect(code).toBe(1);
    await expectSame('orders', 'crm_customers', 'prices');
    await queryAt(
      url,
      'ALTER TABLE visits_away RENAME TO visits; INSERT INTO visits DEFAULT VALUES',
    );
    expect(await instance.cli('sync')).toMatchObject({ code: 0 });
    await expectSame('visits');
  });

  test('values without a place in the warehouse go to review, and the row with them', async () => {
    await queryAt(url, `INSERT INTO orders (amount) VALUES ('NaN')`);
    await instance.json(['sync'], [5]);
    const failed = await instance.catalog(
      `SELECT stream, kind, field FROM millrace.failed_events WHERE state = 'open'`,
    );
    expect(failed).toEqual([{ stream: 'orders', kind: 'type-mismatch', field: 'amount' }]);
  });
});

async function settled(): Promise<number> {
  const [row] = await instance.catalog<{ n: number }>(
    `SELECT count(*)::int AS n FROM millrace.deliveries WHERE state = 'settled'`,
  );
  return row?.n ?? 0;
}
