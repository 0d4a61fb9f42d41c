import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Mapping } from '../../core/mapping.ts';
import { must } from '../../core/errors.ts';
import { startInstance, type TestInstance } from '../support/instance.ts';

/** The data changes its shape while a file of many small batches loads: columns keep up. */
const config = `
destinations:
  warehouse: { type: postgres }
sources:
  shop: { type: file, root: shop, path: "*.ndjson", settleSeconds: 0 }
pipelines:
  shop: { source: shop, destinations: [warehouse] }
`;

const perPhase = 150;

/** Rows as JSON text: numbers must come out as they are written. */
const phases: readonly ((id: number) => string)[] = [
  (id) => `{"id":${id},"qty":${id},"day":"2026-01-02","pad":"${'x'.repeat(40)}"}`,
  (id) => `{"id":${id},"qty":${id},"day":"2026-01-02","note":"n${id}"}`,
  (id) => `{"id":${id},"qty":${id}.${'0123456789'.repeat(2)},"day":"2026-01-02"}`,
  (id) => `{"id":${id},"qty":1234567890123456789${id},"day":"2026-01-02T03:04:05.000${id}"}`,
  (id) =>
    `{"id":${id},"qty":${id},"day":"2026-01-02","ship":{"to":{"city":"c${id}"}},"tags":[${id}]}`,
];
const idsOf = (phase: number) =>
  Array.from({ length: perPhase }, (_, at) => phase * perPhase + at + 1);
const lines = phases.flatMap((line, phase) => idsOf(phase).map(line));

interface Order {
  readonly day: string;
  readonly note?: string;
  readonly ship?: { readonly to: { readonly city: string } };
  readonly tags?: readonly number[];
}

/** What must stand in the table, as text. */
function wanted(line: string) {
  const { day, note = null, ship, tags } = JSON.parse(line) as Order;
  return {
    id: must(/"id":(\d+)/.exec(line))[1],
    qty: must(/"qty":([\d.]+)/.exec(line))[1],
    day: day.length === 10 ? `${day} 00:00:00` : day.replace('T', ' ').replace(/0+$/, ''),
    note,
    city: ship?.to.city ?? null,
    tags: tags === undefined ? null : JSON.stringify(tags),
  };
}

interface Delivery {
  readonly batchId: string;
  readonly pins: Readonly<Record<string, number>>;
}

let instance: TestInstance;
beforeAll(async () => {
  const environment = { MILLRACE_MAX_BATCH_BYTES: '2048' };
  instance = await startInstance({ config, environment });
  await instance.write('shop/orders.ndjson', `${lines.join('\n')}\n`);
  await instance.json(['sync', '--no-wait']);
  // A stream that begins while the others run.
  const customers = Array.from({ length: 50 }, (_, at) => `{"id":${at},"since":"2026-01-02"}\n`);
  await instance.write('shop/customers.ndjson', customers.join(''));
  await instance.json(['sync']);
}, 180_000);
afterAll(() => instance?.[Symbol.asyncDispose]());

const deliveries = () =>
  instance.catalog<Delivery>(
    `SELECT d.batch_id AS "batchId", d.pins FROM millrace.deliveries d JOIN millrace.batches b USING (batch_id)
      ORDER BY b.plan_order`,
  );

async function versions(stream: string): Promise<ReadonlyMap<number, Mapping>> {
  const rows = await instance.catalog<{ version: number; document: Mapping }>(
    'SELECT version, document FROM millrace.mappings WHERE stream = $1 ORDER BY version',
    [stream],
  );
  return new Map(rows.map(({ version, document }) => [version, document]));
}

test('every row of every phase is there, once and digit for digit', async () => {
  const rows = await instance.warehouse(
    `SELECT id::text, qty::text, day::text, note, ship_to_city AS city, tags::text FROM shop.orders ORDER BY orders.id`,
  );
  expect(rows).toEqual(lines.map(wanted));
  const [customers] = await instance.warehouse('SELECT count(*)::int AS n FROM shop.customers');
  expect(customers).toEqual({ n: 50 });
});

test('nothing was parked, and the run had many batches', async () => {
  expect(await instance.catalog('SELECT count(*)::int AS n FROM millrace.failure_records')).toEqual(
    [{ n: 0 }],
  );
  expect((await deliveries()).length).toBeGreaterThan(20);
});

test('each batch is pinned to a version that holds all it brings', async () => {
  const known = await versions('orders');
  const rows = await instance.warehouse<{
    batch: string;
    decimal: boolean;
    time: boolean;
    note: boolean;
    city: boolean;
  }>(
    `SELECT _batch_id AS batch, bool_or(qty::text ~ '[.]' OR qty > 9223372036854775807) AS decimal,
            bool_or(day::time > '00:00') AS time, bool_or(note IS NOT NULL) AS note,
            bool_or(ship_to_city IS NOT NULL) AS city
       FROM shop.orders GROUP BY 1`,
  );
  const pins = new Map((await deliveries()).map(({ batchId, pins: pinned }) => [batchId, pinned]));
  for (const { batch, decimal, time, note, city } of rows) {
    const mapping = must(known.get(must(pins.get(batch)?.['orders'])));
    const types = new Map(mapping.columns.map(({ path, type }) => [path, type]));
    if (decimal) expect(types.get('qty'), batch).toBe('decimal');
    if (time) expect(types.get('day'), batch).toBe('timestamp');
    if (note) expect(types.get('note'), batch).toBe('text');
    if (city) expect(types.get('ship.to.city'), batch).toBe('text');
  }
  const [first] = await deliveries();
  expect(first?.pins).toEqual({ orders: 1 });
  expect(must(known.get(1)).columns.map(({ path, type }) => `${path} ${type}`)).toEqual([
    'id int64',
    'qty int64',
    'day date',
    'pad text',
  ]);
});

test('versions only add and widen, and the ledger names the version of each delivery', async () => {
  const known = [...(await versions('orders')).values()];
  for (const [at, mapping] of known.entries()) {
    const before = known[at - 1]?.columns ?? [];
    const columns = new Map(mapping.columns.map(({ path, column }) => [path, column]));
    for (const { path, column } of before) expect(columns.get(path)).toBe(column);
  }
  const ledger = await instance.warehouse<Delivery>(
    'SELECT batch_id AS "batchId", mapping_versions AS pins FROM _millrace.ledger',
  );
  const byBatch = (rows: readonly Delivery[]) =>
    Object.fromEntries(rows.map(({ batchId, pins }) => [batchId, pins]));
  expect(byBatch(ledger)).toEqual(byBatch(await deliveries()));
});

test('each change of a table is in the audit, with its version and batch', async () => {
  const log = await instance.catalog<{ statement: string; version: number; batch: string }>(
    `SELECT statement, mapping_version AS version, batch_id AS batch FROM millrace.ddl_log
      WHERE stream = 'orders' ORDER BY ddl_id`,
  );
  const text = log.map(({ statement }) => statement).join('\n');
  expect(text).toContain('CREATE TABLE "shop"."orders"');
  expect(text).toContain('ALTER COLUMN "qty" TYPE numeric');
  expect(text).toContain('ALTER COLUMN "day" TYPE timestamp without time zone');
  for (const column of ['note', 'ship_to_city', 'tags'])
    expect(text).toContain(`ADD COLUMN "${column}"`);
  const known = await versions('orders');
  const batches = new Set((await deliveries()).map(({ batchId }) => batchId));
  for (const { version, batch } of log) {
    expect(known.has(version)).toBe(true);
    expect(batches.has(batch)).toBe(true);
  }
});
