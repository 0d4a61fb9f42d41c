import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { postgresDestination } from '../../connectors/postgres/index.ts';
import type { Destination } from '../../core/destination.ts';
import type { Mapping } from '../../core/mapping.ts';
import { loadBatch } from '../../pipeline/batches/load-batch.ts';
import {
  batchOf,
  callbacks,
  mappingOf,
  orderColumns,
  orders,
  signal,
  someOrders,
  visits,
} from '../conformance/destination-fixture.ts';
import { queryAt, startPostgres, type PostgresServer } from '../support/postgres-server.ts';

/** Rights to tables that Millrace makes, for roles that are not its own. */
let server: PostgresServer;
let url: string;
let databases = 0;

beforeAll(async () => {
  server = await startPostgres();
  await server.asSuperuser(
    `CREATE ROLE analyst LOGIN PASSWORD 'reads'; CREATE ROLE "Data Team" LOGIN PASSWORD 'reads'`,
  );
});
afterAll(() => server[Symbol.asyncDispose]());
beforeEach(async () => {
  url = await server.createDatabase(`grants_${(databases += 1)}`);
});

const { encoding } = postgresDestination;
const granting = async (select: readonly string[]): Promise<Destination> => {
  const settings = postgresDestination.settings.parse({ url, grants: { select } });
  const destination = await postgresDestination.open(settings, {
    installation: 'ours',
    name: 'warehouse',
  });
  await destination.prepare(signal);
  return destination;
};

/** What a role reads, logged in as itself. */
async function readAs(role: string, table: string, column = 'id'): Promise<unknown[]> {
  const own = new URL(url);
  [own.username, own.password] = [encodeURIComponent(role), 'reads'];
  return queryAt(own.toString(), `SELECT ${column}::text FROM ${table} ORDER BY 1`);
}

const ids = (from: number, to: number) =>
  someOrders(from, to).map(({ id }) => ({ id: String(id) }));

test('the roles read a new table and columns that it gets later, and write nothing', async () => {
  await using destination = await granting(['analyst', 'Data Team']);
  await destination.checkNewTables?.(signal);
  await destination.applyMapping(mappingOf(orders, orderColumns), signal);
  await loadBatch(destination, batchOf(encoding), callbacks);
  for (const role of ['analyst', 'Data Team']) {
    expect(await readAs(role, 'shop.orders')).toEqual(ids(0, 10));
  }
  const wider = mappingOf(orders, [
    ...orderColumns,
    { path: 'city', column: 'city', type: 'text', by: 'automapper' },
  ]);
  await destination.applyMapping(wider, signal);
  expect(await readAs('analyst', 'shop.orders', 'city')).toHaveLength(10);
  const right = await queryAt<{ may: boolean }>(
    url,
    `SELECT has_table_privilege('analyst', 'shop.orders', 'INSERT, UPDATE, DELETE, TRUNCATE') AS may`,
  );
  expect(right).toEqual([{ may: false }]);
});

test('the audit and the preview of a new table show its grants', async () => {
  await using destination = await granting(['analyst']);
  const said = await destination.previewMapping?.(mappingOf(orders), signal);
  const made = await destination.applyMapping(mappingOf(orders), signal);
  expect(said).toEqual(made.map(({ statement }) => statement));
  expect(said?.slice(2)).toEqual([
    'GRANT USAGE ON SCHEMA "shop" TO "analyst"',
    'GRANT SELECT ON TABLE "shop"."orders" TO "analyst"',
  ]);
});

test('a table that is replaced as a whole keeps them', async () => {
  await using destination = await granting(['analyst']);
  const mapping: Mapping = { ...mappingOf(orders), replace: true };
  await destination.applyMapping(mapping, signal);
  for (const [n, list] of [someOrders(0, 3), someOrders(5, 7), []].entries()) {
    const to = String(n + 2);
    const batch = { batchId: `shop/lane/${n}`, to, mapping, tables: [[orders, list]] as const };
    await loadBatch(destination, batchOf(encoding, batch), callbacks);
    expect(await readAs('analyst', 'shop.orders')).toEqual(
      list.map(({ id }) => ({ id: String(id) })),
    );
  }
});

test('tables that were there before are left as they are', async () => {
  await using before = await granting(['Data Team']);
  await before.applyMapping(mappingOf(orders), signal);
  await using destination = await granting(['analyst']);
  const wider = mappingOf(orders, [
    ...orderColumns,
    { path: 'city', column: 'city', type: 'text', by: 'automapper' },
  ]);
  await destination.applyMapping(wider, signal);
  await destination.applyMapping(mappingOf(visits), signal);
  expect(await readAs('analyst', 'shop.visits')).toEqual([]);
  await expect(readAs('analyst', 'shop.orders')).rejects.toMatchObject({ code: '42501' });
  expect(await readAs('Data Team', 'shop.orders')).toEqual([]);
  await expect(readAs('Data Team', 'shop.visits')).rejects.toMatchObject({ code: '42501' });
});

test('everyone may be public', async () => {
  await using destination = await granting(['public']);
  await destination.applyMapping(mappingOf(orders), signal);
  expect(await readAs('Data Team', 'shop.orders')).toEqual([]);
});

test('a role that is not there is named, with what to do, and no table is made', async () => {
  await using destination = await granting(['analyst', 'nobody here']);
  await destination.check(signal); // tables that are there go on
  await expect(destination.checkNewTables?.(signal)).rejects.toMatchObject({
    kind: 'invalid-config',
    message: expect.stringMatching(/no table can be made: .* CREATE ROLE "nobody here"/) as string,
  });
  await expect(destination.applyMapping(mappingOf(orders), signal)).rejects.toMatchObject({
    kind: 'schema-rejected',
    message: expect.stringMatching(
      /table shop.orders cannot be made: .* CREATE ROLE "nobody here", or take it out of grants/,
    ) as string,
  });
  expect(await destination.describeTable(orders, signal)).toBeNull();
  await server.asSuperuser('CREATE ROLE "nobody here"');
  expect(await destination.applyMapping(mappingOf(orders), signal)).not.toEqual([]);
});

test('what grants say wrong is refused before anything starts', () => {
  const parse = (grants: unknown) =>
    postgresDestination.settings.safeParse({ url, grants }).success;
  expect(parse({ select: ['analyst'] })).toBe(true);
  for (const wrong of [
    {},
    { select: [] },
    { select: [''] },
    { select: ['a', 'a'] },
    { insert: ['a'] },
  ]) {
    expect(parse(wrong)).toBe(false);
  }
});
