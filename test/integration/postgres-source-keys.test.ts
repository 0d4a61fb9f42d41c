import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { postgresSource } from '../../connectors/postgres/index.ts';
import { PostgresSource } from '../../connectors/postgres/source.ts';
import { queryAt, startPostgres, type PostgresServer } from '../support/postgres-server.ts';
import { Follower } from '../support/followed-table.ts';

/** What happens to the key and the cursor of a table while it is followed. */
let server: PostgresServer;
let url: string;
let databases = 0;
const open: AsyncDisposable[] = [];
const sql = (text: string) => queryAt<Record<string, unknown>>(url, text);

beforeAll(async () => {
  server = await startPostgres();
});
beforeEach(async () => {
  url = await server.createDatabase(`keys_${(databases += 1)}`);
  return async () => {
    for (const one of open.splice(0)) await one[Symbol.asyncDispose]();
  };
});
afterAll(() => server[Symbol.asyncDispose]());

const parse = (settings: object) =>
  postgresSource.settings.parse({
    url,
    tables: { 'public.orders': { cursor: 'at', lag: '0s', ...settings } },
  });

function openSource(settings: object = {}): PostgresSource {
  const source = new PostgresSource('shop', parse(settings));
  open.push(source);
  return source;
}

const create = `CREATE TABLE orders (id int, tenant int DEFAULT 1,
  at timestamptz NOT NULL DEFAULT clock_timestamp(), PRIMARY KEY (id))`;
const widenKey =
  'ALTER TABLE orders DROP CONSTRAINT orders_pkey; ALTER TABLE orders ADD PRIMARY KEY (tenant, id)';

test('a table whose key became another one stops before rows take one another’s place', async () => {
  await sql(`${create}; INSERT INTO orders (id) VALUES (1)`);
  const orders = new Follower(openSource());
  expect(await orders.ids()).toEqual([1]);
  await sql(`${widenKey}; INSERT INTO orders (id, tenant) VALUES (1, 2)`);
  await expect(orders.ids()).rejects.toMatchObject({
    kind: 'invalid-config',
    message: /had the key id .* and has tenant, id now/,
  });
  await sql('ALTER TABLE orders DROP CONSTRAINT orders_pkey; DELETE FROM orders WHERE tenant = 2');
  await sql('ALTER TABLE orders ADD PRIMARY KEY (id); INSERT INTO orders (id) VALUES (2)');
  expect(await orders.ids()).toEqual([2]);
});

test('the key that is named in the settings stays what it is, whatever the table says', async () => {
  await sql(`${create}; INSERT INTO orders (id) VALUES (1)`);
  const orders = new Follower(openSource({ key: ['tenant', 'id'] }));
  expect(await orders.ids()).toEqual([1]);
  await sql(`${widenKey}; INSERT INTO orders (id, tenant) VALUES (1, 2)`);
  expect(await orders.ids()).toEqual([1]);
});

test('a column stands in a key once', () => {
  const faults = postgresSource.settings.safeParse({
    url: 'postgres://here/shop',
    tables: { 'public.orders': { key: ['id', 'id'], columns: ['id', 'at', 'id'] } },
  });
  expect(faults.error?.message.match(/names a column twice/g)).toHaveLength(2);
});

test('rows whose cursor is infinite are read once, before all others', async () => {
  await sql(`${create}; INSERT INTO orders (id, at)
             VALUES (1, now()), (2, 'infinity'), (3, '-infinity'), (4, now() + interval '1 ms')`);
  const orders = new Follower(openSource());
  expect((await orders.ids()).toSorted((a, b) => a - b)).toEqual([1, 2, 3, 4]);
  await sql(`UPDATE orders SET at = clock_timestamp() WHERE id = 2`);
  expect(await orders.ids()).toEqual([2]);
});

test('columns may be called like anything that a statement of ours calls something', async () => {
  await sql(`CREATE TYPE pair AS (a int, b int);
    CREATE TABLE orders (id int PRIMARY KEY, r int4range, t pair, s text, v text, p text, value int,
      place int, json json, "select" text, "constructor" text, "__proto__" text, present text,
      at timestamptz NOT NULL DEFAULT clock_timestamp());
    INSERT INTO orders (id, r, t, value, "select", "constructor", "__proto__")
      SELECT n, int4range(n, 9), ROW(n, 2)::pair, -n, 'x', 'y', 'z' FROM generate_series(1, 3) n`);
  const orders = new Follower(openSource());
  const rows = await orders.read(await orders.plan());
  expect(rows.map(({ text }) => JSON.parse(text))).toMatchObject(
    [1, 2, 3].map((n) => ({ id: n, r: `[${n},9)`, t: { a: n, b: 2 }, value: -n, select: 'x' })),
  );
  expect(rows[0]?.text).toContain('"constructor":"y","__proto__":"z"');
});
