import { afterAll, beforeAll, expect, test } from 'vitest';
import { postgresSource } from '../../connectors/postgres/index.ts';
import { localTime } from '../../connectors/postgres/source/bound.ts';
import { PostgresSource } from '../../connectors/postgres/source.ts';
import { must } from '../../core/errors.ts';
import { defaultRecordLimits, recordBytes, type RecordBlock } from '../../core/records.ts';
import type { ObservedLane } from '../../core/source.ts';
import { Follower } from '../support/followed-table.ts';
import { queryAt, startPostgres, type PostgresServer } from '../support/postgres-server.ts';

/** Column definition, value as SQL, JSON text of the cell, type on the lattice. */
const cells: readonly (readonly [type: string, value: string, json: string, field: string])[] = [
  ['boolean', 'true', 'true', 'boolean'],
  ['smallint', '-32768', '-32768', 'int64'],
  ['bigint', '9223372036854775807', '9223372036854775807', 'int64'],
  [
    'numeric',
    '123456789012345678901234567890.00100',
    '123456789012345678901234567890.00100',
    'decimal',
  ],
  ['numeric(8,2)', '1.5', '1.50', 'decimal'],
  ['numeric', `'NaN'`, '"NaN"', 'decimal'],
  ['float8', '0.1', '0.1', 'decimal'],
  ['float8', '1e-300', '1e-300', 'decimal'],
  ['float8', `'-Infinity'`, '"-Infinity"', 'decimal'],
  ['real', '16777217', '1.6777216e+07', 'decimal'],
  ['date', `'2024-02-29'`, '"2024-02-29"', 'date'],
  ['date', `'infinity'`, '"infinity"', 'date'],
  ['timestamp', `'2024-02-29 23:59:59.000001'`, '"2024-02-29T23:59:59.000001"', 'timestamp'],
  ['timestamptz', `'2024-02-29 23:59:59.5+05:30'`, '"2024-02-29T18:29:59.5Z"', 'timestamptz'],
  ['timestamptz', `'-infinity'`, '"-infinity"', 'timestamptz'],
  [
    'uuid',
    `'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'`,
    '"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"',
    'uuid',
  ],
  ['json', `'{"b" : 1.0,\n "a":2, "a": 1e400}'`, '{"b" : 1.0,\n "a":2, "a": 1e400}', 'json'],
  ['jsonb', `'{"b": 12345678901234567890.10}'`, '{"b": 12345678901234567890.10}', 'json'],
  [
    'bigint[]',
    `'{{1,NULL},{9223372036854775807,4}}'`,
    '[[1,null],[9223372036854775807,4]]',
    'json',
  ],
  ['place', `ROW(1.50, 'x')`, '{"x":1.50,"name":"x"}', 'json'],
  ['mood', `'so so'`, '"so so"', 'text'],
  ['amount', '12.30', '12.30', 'decimal'],
  ['bytea', `'\\x00ff'`, '"\\\\x00ff"', 'text'],
  ['interval', `'1 day 02:03:04.5'`, '"P1DT2H3M4.5S"', 'text'],
  ['char(4)', `'a'`, '"a   "', 'text'],
  ['text', `E'"\\\\\\n\\t\\u00e9\\U0001F600'`, '"\\"\\\\\\n\\té😀"', 'text'],
  ['inet', `'10.0.0.1/8'`, '"10.0.0.1/8"', 'text'],
  ['int4range', `'[1,5)'`, '"[1,5)"', 'text'],
  ['time', `'01:02:03.000004'`, '"01:02:03.000004"', 'text'],
  ['text', 'NULL', 'null', 'text'],
];

let server: PostgresServer;
let url: string;
const { signal } = new AbortController();
beforeAll(async () => {
  server = await startPostgres();
  url = await server.createDatabase('typed');
});
afterAll(() => server[Symbol.asyncDispose]());

function openSource(tables: unknown): PostgresSource {
  return new PostgresSource('shop', postgresSource.settings.parse({ url, tables }));
}

async function readWhole(source: PostgresSource, name: string): Promise<readonly RecordBlock[]> {
  const lanes = await source.lanes([], signal);
  const lane = lanes.find((one) => one.name === name) as ObservedLane;
  const limits = { maxBytes: 1, maxRecords: 1, maxRanges: 1 };
  const { ranges, memo } = await source.plan(lane, lane.start, limits, signal);
  const context = { signal, limits: defaultRecordLimits, lane: { name, memo } };
  return Array.fromAsync(source.read(must(ranges[0]), context));
}

test('values of all types come through digit for digit, and their types with them', async () => {
  const columns = cells.map(([type], at) => `"c${at} .""ä" ${type}`).join(', ');
  await queryAt(
    url,
    `CREATE TYPE mood AS ENUM ('so so'); CREATE TYPE place AS (x numeric, name text);
     CREATE DOMAIN money_like AS numeric; CREATE DOMAIN amount AS money_like;
     CREATE SCHEMA sales; CREATE TABLE sales."Typed Things" (${columns});
     INSERT INTO sales."Typed Things" VALUES (${cells.map(([, value]) => value).join(', ')})`,
  );
  await using source = openSource({ 'sales.*': {} });
  const [block] = (await readWhole(source, 'sales.Typed Things')) as [RecordBlock];
  const text = Buffer.from(recordBytes(block, 0)).toString();
  const expected = cells.map(([, , json], at) => `"c${at} .\\"ä":${json}`);
  expect(text).toBe(`{${expected.join(',')}}`);
  expect(block.stream).toBe('sales_Typed Things');
  expect(block.context).toEqual({ format: { kind: 'json' }, schemaId: 'sales_Typed Things' });
  const schema = await source.importSchema('sales_Typed Things', signal);
  expect(schema).toEqual({
    stream: 'sales_Typed Things',
    fields: cells.map(([, , , type], at) => ({ path: `c${at} \\."ä`, type })),
    whole: true,
  });
});

test('only the columns and rows that are asked for are read; the key is the primary key', async () => {
  await queryAt(
    url,
    `CREATE TABLE parts (shop int, sku text, secret text, at timestamptz NOT NULL DEFAULT now(),
       PRIMARY KEY (sku, shop));
     INSERT INTO parts VALUES (1, 'a', 'x'), (2, 'b', 'y')`,
  );
  const columns = ['sku', 'shop'];
  await using source = openSource({ 'public.parts': { columns, where: 'shop > 1 -- the large' } });
  const [block] = (await readWhole(source, 'public.parts')) as [RecordBlock];
  expect(Buffer.from(block.bytes).toString()).toBe('{"shop":2,"sku":"b"}');
  await using followed = openSource({ 'public.parts': { columns, cursor: 'at' } });
  const schema = await followed.importSchema('parts', signal);
  expect(schema).toMatchObject({ key: ['sku', 'shop'] });
  expect(schema.whole).toBeUndefined();
  await using wrong = openSource({ 'public.parts': { columns: ['sku'], cursor: 'at' } });
  await expect(wrong.importSchema('parts', signal)).rejects.toThrow(/no column shop.*correct key/);
});

test('a row beyond the limit comes whole, as a fault, between its neighbours', async () => {
  await queryAt(
    url,
    `CREATE TABLE large (n int PRIMARY KEY, text text);
     INSERT INTO large SELECT n, repeat('x', CASE WHEN n = 2 THEN 8000000 ELSE 10 END)
       FROM generate_series(1, 3) n`,
  );
  await using source = openSource({ 'public.large': {} });
  const blocks = await readWhole(source, 'public.large');
  const lengths = blocks.flatMap((block) =>
    Array.from(block.starts, (start, at) => (block.ends[at] ?? 0) - start),
  );
  expect(lengths).toEqual([27, 8_000_017, 27]);
  expect(blocks.flatMap(({ faults = [] }) => faults)).toEqual([
    { index: 1, kind: 'too-large', message: expect.stringContaining('8000017 bytes') },
  ]);
});

test('a table without a cursor knows its rows by key, or by their number where it has none', async () => {
  await queryAt(
    url,
    `CREATE TABLE orders (id int PRIMARY KEY); INSERT INTO orders VALUES (1); CREATE TABLE notes (text text);
      INSERT INTO notes VALUES ('a'), ('a')`,
  );
  await using source = openSource('public.*');
  const ids = async (name: string) => {
    const lane = new Follower(source, name);
    return (await lane.read(await lane.plan())).map(({ id }) => id);
  };
  expect(await ids('public.orders')).toEqual([
    expect.stringMatching(/^shop\/public\.orders\/[0-9a-f]{24}\/g:000000000001$/),
  ]);
  expect(await ids('public.notes')).toEqual([
    'shop/public.notes/g:000000000001/1',
    'shop/public.notes/g:000000000001/2',
  ]);
});

test('where clocks are about to be set back, the earliest time that they will show is the bound', async () => {
  const micros = (time: string) => BigInt(Date.parse(`${time}Z`)) * 1000n;
  const berlin = (at: string) => localTime((sql) => queryAt(url, sql), 'Europe/Berlin', micros(at));
  expect(await berlin('2026-10-24T12:00:00.123')).toBe(micros('2026-10-24T14:00:00.123'));
  // At 01:00 UTC it is 03:00 and becomes 02:00.
  expect(await berlin('2026-10-24T23:59:59')).toBe(micros('2026-10-25T01:59:59'));
  expect(await berlin('2026-10-25T00:40:00')).toBe(micros('2026-10-25T02:00:00'));
  expect(await berlin('2026-10-25T00:59:59.999')).toBe(micros('2026-10-25T02:00:00'));
  expect(await berlin('2026-10-25T01:10:00')).toBe(micros('2026-10-25T02:10:00'));
  expect(await berlin('2026-03-29T00:59:00')).toBe(micros('2026-03-29T01:59:00'));
});

test('settings that cannot be meant are refused, with what is right', () => {
  const parse = (tables: unknown) => () => postgresSource.settings.parse({ url, tables });
  expect(parse('orders')).toThrow(/schema\.table/);
  expect(parse({})).toThrow(/must name a table/);
  expect(parse({ 'public.orders': { lag: '5 minutes' } })).toThrow(/duration such as/);
  expect(parse({ 'public.orders': { nulls: 'last' } })).toThrow(/first/);
  expect(parse({ 'public.orders': null })).not.toThrow();
});
