import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { postgresDestination } from '../../connectors/postgres/index.ts';
import type { Destination } from '../../core/destination.ts';
import type { ColumnMapping } from '../../core/mapping.ts';
import { loadBatch } from '../../pipeline/batches/load-batch.ts';
import {
  batchOf,
  begin,
  callbacks,
  mappingOf,
  orderColumns,
  orders,
  signal,
} from '../conformance/destination-fixture.ts';
import { queryAt, startPostgres, type PostgresServer } from '../support/postgres-server.ts';
import { until } from '../support/until.ts';

/** Between a mapping that is pinned and the table as it stands when its rows come. */
let server: PostgresServer;
let url: string;
let destination: Destination;
let databases = 0;

beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server[Symbol.asyncDispose]());

beforeEach(async () => {
  url = await server.createDatabase(`pins_${(databases += 1)}`);
  destination = await postgresDestination.open({ url }, { installation: 'ours', name: 'here' });
  await destination.prepare(signal);
  await destination.applyMapping(mappingOf(orders), signal);
  return () => destination[Symbol.asyncDispose]();
});

const { encoding } = postgresDestination;
const noteAs = (type: ColumnMapping['type']) =>
  mappingOf(orders, [
    ...orderColumns.slice(0, 3),
    { path: 'note', column: 'note', type, by: 'person' },
  ]);

test('a change of the table waits for the load that has looked at it', async () => {
  const batch = batchOf(encoding, { tables: [[orders, [{ id: 1, note: '13' }]]] });
  const { load, rows } = await begin(destination, batch);
  await load.holdTables([rows.mapping]);
  const change = destination.applyMapping(noteAs('int64'), signal);
  await until('the change to wait', async () => {
    const waiting = await queryAt(
      url,
      `SELECT FROM pg_locks WHERE NOT granted AND relation IS NOT NULL`,
    );
    return waiting.length > 0;
  });
  expect(await load.copy(rows, 0, 1)).toMatchObject({ ok: true, loaded: 1 });
  await load.conclude({
    rowsLoaded: 1,
    rowsDuplicate: 0,
    rowsSuperseded: 0,
    rowsFailed: 0,
    rowsDiscarded: 0,
    failedSha256: '',
    tables: {},
  });
  await load.commit();
  await load[Symbol.asyncDispose]();
  expect(await change).toHaveLength(1);
  expect(await queryAt(url, 'SELECT note FROM shop.orders')).toEqual([{ note: '13' }]);
});

describe('a column that was changed by hand', () => {
  const loadNote = (note: string) =>
    loadBatch(destination, batchOf(encoding, { tables: [[orders, [{ id: 1, note }]]] }), callbacks);

  test.each([
    ['varchar(20)', ''],
    ['shop.mood', `CREATE TYPE shop.mood AS ENUM ('plain', 'merry')`],
    ['shop.short', "CREATE DOMAIN shop.short AS varchar(20) CHECK (VALUE <> '')"],
    [
      'shop.feeling',
      `CREATE TYPE shop.mood AS ENUM ('plain'); CREATE DOMAIN shop.feeling AS shop.mood`,
    ],
  ])('into %s goes on: it holds what was mapped, or refuses it', async (type, first) => {
    if (first !== '') await queryAt(url, first);
    await queryAt(url, `ALTER TABLE shop.orders ALTER note TYPE ${type} USING note::${type}`);
    expect(await loadNote('plain')).toMatchObject({ rowsLoaded: 1, rowsFailed: 0 });
  });

  test.each(['date', 'bigint', 'char(20)', 'bytea'])('into %s gets no row', async (type) => {
    await queryAt(url, `ALTER TABLE shop.orders ALTER note TYPE ${type} USING NULL`);
    await expect(loadNote('today')).rejects.toMatchObject({
      kind: 'pin-outdated',
      message: expect.stringMatching(
        /column note of shop\.orders is .*, its rows were mapped as text: make the column text \(ALTER TABLE\)/,
      ),
    });
  });

  test('into a numeric that rounds gets no row', async () => {
    await queryAt(url, 'ALTER TABLE shop.orders ALTER amount TYPE numeric(6,2)');
    await expect(loadNote('plain')).rejects.toMatchObject({
      kind: 'pin-outdated',
      message: expect.stringContaining('column amount of shop.orders is numeric(6,2)') as string,
    });
  });
});
