import { afterAll, beforeAll, expect, test } from 'vitest';
import { ensureDatabase } from '../../local/postgres-databases.ts';
import {
  allFailpoints,
  quietFailpoints,
  type FailpointMarkers,
} from '../support/failpoint-markers.ts';
import { startInstance, type TestInstance } from '../support/instance.ts';
import { queryAt } from '../support/postgres-server.ts';
import { until } from '../support/until.ts';

/** Two destinations: rows are staged, and what they look like could decide the types. */
const config = (url: string) => `
destinations: { warehouse: { type: postgres }, second: { type: postgres } }
sources:
  shop:
    type: postgres
    url: ${url}
    tables:
      public.grown: { cursor: id }
      public.whole: { cursor: id }
      public.late: { cursor: id }
      public.other: { cursor: id }
pipelines:
  shop: { source: shop, destinations: [warehouse, second] }
`;

/** Columns whose first value looks like something else than it is. */
const added = [
  { name: 'price', type: 'numeric(12,2)', value: '5' },
  { name: 'label', type: 'text', value: `'2021-02-28'` },
  { name: 'code', type: 'varchar(40)', value: `'0b9f2b3e-5a0c-4a43-9d3c-1f5e0c8f6d11'` },
  { name: 'payload', type: 'jsonb', value: `'7'` },
  { name: 'ratio', type: 'double precision', value: '3' },
  { name: 'day', type: 'date', value: 'NULL' },
];

let instance: TestInstance;
let url: string;
let failpoints: FailpointMarkers;

beforeAll(async () => {
  instance = await startInstance({
    config: 'destinations: { warehouse: { type: postgres }, second: { type: postgres } }\n',
    environment: allFailpoints('stop'),
  });
  failpoints = await quietFailpoints(instance.urls.home);
  const base = new URL(instance.urls.catalogUrl);
  base.pathname = '';
  url = await ensureDatabase(base.toString().replace(/\/$/, ''), 'shop');
  const columns = added.map(({ name, type }) => `, ${name} ${type}`).join('');
  await queryAt(
    url,
    `CREATE TABLE grown (id bigint PRIMARY KEY);
     CREATE TABLE whole (id bigint PRIMARY KEY${columns});
     CREATE TABLE late (id bigint PRIMARY KEY, amount numeric(12,2));
     CREATE TABLE other (id bigint PRIMARY KEY);
     INSERT INTO grown VALUES (0); INSERT INTO other VALUES (0)`,
  );
  await instance.write('millrace.yaml', config(url));
  await instance.json(['apply']);
}, 120_000);
afterAll(() => instance?.[Symbol.asyncDispose]());

const columnsOf = (table: string, destination: string) =>
  instance.warehouse(
    `SELECT column_name AS name, data_type AS type FROM information_schema.columns
      WHERE table_schema = 'shop' AND table_name = $1 ORDER BY column_name`,
    [table],
    destination,
  );

test('columns that a followed table gets later have the types that the source declares', async () => {
  await instance.json(['sync']);
  for (const [at, { name, type, value }] of added.entries()) {
    await queryAt(url, `ALTER TABLE grown ADD COLUMN ${name} ${type}`);
    await queryAt(url, `INSERT INTO grown (id, ${name}) VALUES (${at + 1}, ${value})`);
    await instance.json(['sync']);
  }
  await queryAt(url, 'INSERT INTO whole SELECT * FROM grown');
  await instance.json(['sync']);
  for (const destination of ['warehouse', 'second']) {
    const grown = await columnsOf('grown', destination);
    expect(grown.length).toBeGreaterThan(added.length);
    expect(grown).toEqual(await columnsOf('whole', destination));
  }
  const rows = (table: string) =>
    instance.warehouse(
      `SELECT id, ${added.map(({ name }) => name).join(', ')} FROM shop.${table} ORDER BY id`,
    );
  expect(await rows('grown')).toEqual(await rows('whole'));
}, 120_000);

test('a table that is dropped once it was read and before it has a mapping says so, and stops nothing else', async () => {
  await failpoints.arm('manifest-stored'); // before there is a row that a sync could be reading
  await queryAt(url, 'INSERT INTO late VALUES (1, 5)');
  const sync = instance.cli('sync');
  await until('the rows to be read', async () => failpoints.hasFired('manifest-stored'));
  await queryAt(url, 'DROP TABLE late; INSERT INTO other VALUES (1)');
  process.kill(await instance.pidOf('worker'), 'SIGCONT');
  await sync;
  const { code, stderr: said } = await instance.cli('sync');
  expect(code).toBe(1);
  expect(said).toMatch(
    /table public\.late is not there.*bring it back and run sync, or give these rows up/,
  );
  expect((await instance.cli('status')).stdout).toContain('no table was made for late yet');
  for (const destination of ['warehouse', 'second']) {
    const other = await instance.warehouse(
      'SELECT id::int FROM shop.other ORDER BY 1',
      [],
      destination,
    );
    expect(other).toEqual([{ id: 0 }, { id: 1 }]);
  }

  await queryAt(url, 'CREATE TABLE late (id bigint PRIMARY KEY, amount numeric(12,2))');
  await instance.json(['sync']);
  for (const destination of ['warehouse', 'second']) {
    const rows = await instance.warehouse('SELECT id, amount FROM shop.late', [], destination);
    expect(rows).toEqual([{ id: '1', amount: '5.00' }]);
    const amount = (await columnsOf('late', destination)).find(({ name }) => name === 'amount');
    expect(amount).toEqual({ name: 'amount', type: 'numeric' });
  }
}, 240_000);
