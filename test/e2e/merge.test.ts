import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { must } from '../../core/errors.ts';
import { startInstance, type TestInstance } from '../support/instance.ts';
import { until } from '../support/until.ts';

/** One row per key: by the version that events carry, and by their place in a file. */
const config = (write: string) => `
destinations:
  warehouse: { type: postgres }
sources:
  shop:
    type: file
    settleSeconds: 0
    streams:
      orders: { path: "orders-*.ndjson" }
      prices: { path: "prices.ndjson" }
pipelines:
  shop:
    source: shop
    destinations: [warehouse]
    streams:
      orders: { write: ${write}, key: id, version: at }
      prices: { key: [shop, sku] }
`;

const keys = 500;
const updates = 12_000;
/** More batches than run at once. */
const batchBytes = 48 * 1024;

let instance: TestInstance;
beforeAll(async () => {
  instance = await startInstance({
    config: config('merge'),
    environment: { MILLRACE_MAX_BATCH_BYTES: String(batchBytes) },
  });
}, 120_000);
afterAll(() => instance?.[Symbol.asyncDispose]());

const sync = (codes = [0, 5]) => instance.json(['sync'], codes);

interface Order {
  readonly id: number;
  readonly at: string;
  readonly state: unknown;
}

const toLines = (events: readonly unknown[]) =>
  events.map((event) => `${JSON.stringify(event)}\n`).join('');
const timeOf = (n: number) => new Date(Date.UTC(2026, 0, 1) + n * 1_000).toISOString();

describe('a stream with a key', () => {
  const newest = new Map<number, Order>();

  test('ends with the newest version of every row, however its events are spread and ordered', async () => {
    await instance.write('orders-0.ndjson', toLines([{ id: 0, at: timeOf(0), state: 1 }]));
    await sync();
    const files: Order[][] = [[], [], []];
    for (let n = 0; n < updates; n += 1) {
      const version = (n * 7_919) % updates; // each once, in no order
      const order = { id: (n * 31) % keys, at: timeOf(version), state: version };
      files[n % 3]?.push(order);
      note(order);
    }
    for (const [at, events] of files.entries()) {
      await instance.write(`orders-${at + 1}.ndjson`, toLines(events));
    }
    await sync();
    await expectNewest();
    const [counts] = await instance.catalog<{ loaded: number; superseded: number; n: number }>(
      `SELECT sum(rows_loaded)::int AS loaded, sum(rows_superseded)::int AS superseded,
              count(*)::int AS n FROM millrace.deliveries`,
    );
    const { loaded, superseded, n: batches } = must(counts);
    expect(loaded + superseded).toBe(updates + 1);
    expect(batches).toBeGreaterThan(8);
  });

  test('takes an old event that is restreamed as what it is: old', async () => {
    const old = { id: 1, at: timeOf(-60), state: 'not a number' };
    const fresh = { id: 2, at: timeOf(updates + 60), state: '77' };
    await instance.write('orders-8.ndjson', toLines([old, fresh]));
    await instance.json(['sync'], [5]);
    await expectNewest();
    await instance.json(['mapping', 'set', 'shop', 'orders', 'state', '--type', 'text']);
    const [group] = await instance.catalog<{ group_id: string }>(
      `SELECT group_id FROM millrace.failure_groups WHERE open_count = 2`,
    );
    await instance.json(['failed', 'retry', String(group?.group_id)]);
    await until('the retry to be settled', async () => {
      const [open] = await instance.catalog<{ n: number }>(
        `SELECT count(*)::int AS n FROM millrace.failed_events WHERE state <> 'resolved'`,
      );
      return open?.n === 0;
    });
    newest.set(2, fresh);
    await expectNewest();
  });

  test('parks events that have no key or no version, and no others', async () => {
    const events = [
      { at: timeOf(1), state: '1' },
      { id: null, at: timeOf(1), state: '2' },
      { id: 3, state: '3' },
      { id: keys + 1, at: timeOf(1), state: '4' },
    ];
    await instance.write('orders-9.ndjson', toLines(events));
    await instance.json(['sync'], [5]);
    newest.set(keys + 1, events[3] as Order);
    await expectNewest();
    const failed = await instance.catalog(
      `SELECT kind, field FROM millrace.failed_events WHERE state = 'open' ORDER BY line_number, ordinal`,
    );
    expect(failed).toEqual([
      { kind: 'missing-required', field: 'id' },
      { kind: 'missing-required', field: 'id' },
      { kind: 'missing-required', field: 'at' },
    ]);
  });

  function note(order: Order): void {
    const known = newest.get(order.id);
    if (!known || known.at < order.at) newest.set(order.id, order);
  }

  async function expectNewest(): Promise<void> {
    const rows = await instance.warehouse<{ id: number; state: string }>(
      'SELECT id::int, state::text FROM shop.orders',
    );
    const byId = new Map(rows.map(({ id, state }) => [id, state]));
    expect(rows).toHaveLength(byId.size);
    const expected = [...newest].map(([id, { state }]) => [id, String(state)] as const);
    if (expected.length > 0) expect(byId).toEqual(new Map(expected));
  }
});

test('without a declared version, what stands further back in its file is newer', async () => {
  const event = (sku: string, price: number, shop = 1) => ({ shop, sku, price });
  const first = [event('a', 1), event('b', 2), event('a', 3), event('a', 9, 2)];
  const path = await instance.write('prices.ndjson', toLines(first));
  await sync();
  await instance.write('prices.ndjson', toLines([...first, event('b', 5)]));
  await sync();
  const rows = () =>
    instance.warehouse('SELECT shop::int, sku, price::int FROM shop.prices ORDER BY 1, 2');
  expect(await rows()).toEqual([event('a', 3), event('b', 5), event('a', 9, 2)]);

  // Written anew: a new generation, whose rows are newer than all before.
  await instance.write('prices.ndjson', toLines([event('b', 1), event('c', 4)]));
  expect(path).toContain('prices');
  await sync();
  expect(await rows()).toEqual([event('a', 3), event('b', 1), event('c', 4), event('a', 9, 2)]);
});

test('another way of writing is refused while there is a table, with what to do', async () => {
  await instance.write('millrace.yaml', config('append'));
  const { code, stderr } = await instance.cli('apply');
  expect(code).toBe(1);
  expect(stderr).toMatch(/shop\.orders is written with merge \(key id, version at\).*set it back/s);
});
