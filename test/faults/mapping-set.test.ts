import { afterAll, beforeAll, expect, test } from 'vitest';
import type { MappingAnswer } from '../../server/contract/mappings.ts';
import { startProxyFor } from '../support/fault-proxy/fault-proxy.ts';
import { startInstance, type TestInstance } from '../support/instance.ts';
import { queryAt, startPostgres, type PostgresServer } from '../support/postgres-server.ts';
import { until } from '../support/until.ts';

/** A warehouse of its own, on a way that can be changed. */
let server: PostgresServer;
let warehouse: string;
let instance: TestInstance;

const configWith = (url: string) => `
destinations:
  warehouse: { type: postgres, url: '${url}' }
sources:
  plant: { type: file, streams: { meters: { path: 'meters-*.ndjson' } } }
pipelines:
  plant: { source: plant, destinations: [warehouse] }
`;

beforeAll(async () => {
  server = await startPostgres();
  warehouse = await server.createDatabase('warehouse');
  instance = await startInstance({ config: configWith(warehouse) });
  await load(1);
}, 120_000);

afterAll(async () => {
  await instance?.[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
});

test('an order whose COMMIT got no answer has its version and its line in the audit, once', async () => {
  await using way = await startProxyFor(warehouse);
  way.cutAnswers('COMMIT');
  await apply(way.urlOf(warehouse));
  const set = await setValue('text');
  await apply(warehouse);
  expect(set.code).not.toBe(0);
  expect(set.stderr).toContain('version 2 of the mapping stands');
  expect(way.cutCount()).toBeGreaterThan(0);
  expect(await typeOfValue()).toBe('text');
  expect(await typeInMapping()).toBe('text');
  await until('the audit', async () => (await logged('ALTER COLUMN "value" TYPE text')) === 1);
  await load(2);
  expect(await logged('ALTER COLUMN "value"')).toBe(1);
  expect(await openRecords()).toBe(0);
});

test('an order that the rows do not allow changes nothing, and leaves no line', async () => {
  const set = await setValue('date');
  expect(set.code).not.toBe(0);
  expect([await typeOfValue(), await typeInMapping()]).toEqual(['text', 'text']);
  expect(await logged('TYPE date')).toBe(0);
  expect(await openRecords()).toBe(0);
});

async function apply(url: string): Promise<void> {
  await instance.write('millrace.yaml', configWith(url));
  await instance.json(['apply']);
}

const setValue = (type: string) =>
  instance.cli('mapping', 'set', 'plant', 'meters', 'value', '--type', type);

async function load(n: number): Promise<void> {
  const lines = Array.from({ length: 10 }, (_, id) => JSON.stringify({ id, value: id + n }));
  await instance.write(`meters-${n}.ndjson`, lines.join('\n') + '\n');
  await instance.json(['sync']);
  expect(await queryAt(warehouse, 'SELECT FROM plant.meters')).toHaveLength(10 * n);
}

async function typeOfValue(): Promise<string | undefined> {
  const [row] = await queryAt<{ type: string }>(
    warehouse,
    `SELECT data_type AS type FROM information_schema.columns
      WHERE table_schema = 'plant' AND table_name = 'meters' AND column_name = 'value'`,
  );
  return row?.type;
}

async function typeInMapping(): Promise<string | undefined> {
  const [answer] = await instance.json<MappingAnswer[]>(['mapping', 'show', 'plant', 'meters']);
  return answer?.mapping.columns.find(({ path }) => path === 'value')?.type;
}

async function logged(part: string): Promise<number> {
  const rows = await instance.catalog(
    'SELECT FROM millrace.ddl_log WHERE strpos(statement, $1) > 0',
    [part],
  );
  return rows.length;
}

async function openRecords(): Promise<number> {
  const rows = await instance.catalog(`SELECT FROM millrace.ddl_records WHERE state = 'planned'`);
  return rows.length;
}
