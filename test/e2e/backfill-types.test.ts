import { readFile, open } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startInstance, type TestInstance } from '../support/instance.ts';

const config = `
destinations:
  warehouse: { type: postgres }
sources:
  shop:
    type: file
    settleSeconds: 0
    streams:
      orders: { path: orders.ndjson }
      prices: { path: prices.ndjson }
pipelines:
  shop:
    source: shop
    destinations: [warehouse]
    streams:
      orders: { write: append }
      prices: { key: sku, version: at }
`;

const count = 1_000;
/** Events from here on are written anew, in place: beyond what tells a file from another. */
const [first, last] = [400, 500];
const skus = 150;
const padding = 'x'.repeat(60);
const at = (n: number) => new Date(Date.UTC(2026, 0, 1) + n * 1_000).toISOString();

type Amount = (n: number) => number | string;
/** Keys that only the middle of the file has. */
const isAlone = (n: number) => n >= 450 && n < 460;
const order = (amount: Amount) => (n: number) => ({ id: n, amount: amount(n), padding });
const price = (amount: Amount) => (n: number) => ({
  sku: isAlone(n) ? 1_000 + n : n % skus,
  at: at(n),
  amount: amount(n),
  padding,
});
const asNumber: Amount = (n) => 10_000 + n;
/** As many bytes in the middle, of another type. */
const asText: Amount = (n) =>
  n >= first && n < last ? `n${String(n % 100).padStart(2, '0')}` : asNumber(n);
const lines = (event: (n: number) => unknown) =>
  Array.from({ length: count }, (_, n) => `${JSON.stringify(event(n))}\n`).join('');

let instance: TestInstance;
beforeAll(async () => {
  instance = await startInstance({ config });
  await instance.write('orders.ndjson', lines(order(asNumber)));
  await instance.write('prices.ndjson', lines(price(asNumber)));
  await instance.json(['sync']);
}, 120_000);
afterAll(() => instance?.[Symbol.asyncDispose]());

/** The same file with other bytes in its middle, none more and none less. */
async function rewrite(name: string, content: string): Promise<void> {
  const path = join(instance.directory, name);
  expect(content.length).toBe((await readFile(path)).length);
  await using file = await open(path, 'r+');
  await file.write(content, 0);
}

const backfill = (stream: string) =>
  instance.json(['backfill', 'shop', '--stream', stream], [0, 5]);
const openFailures = (stream: string) =>
  instance.catalog<{ id: string }>(
    `SELECT event_id AS id FROM millrace.failed_events WHERE stream = $1 AND state = 'open'`,
    [stream],
  );

test('an append stream whose range reads otherwise now has each event in one place', async () => {
  await rewrite('orders.ndjson', lines(order(asText)));
  await instance.warehouse('DELETE FROM shop.orders WHERE id BETWEEN 450 AND 459');
  expect(await backfill('orders')).toMatchObject({
    rowsLoaded: 0,
    rowsDuplicate: count - 10,
    rowsFailed: 10,
  });
  const loaded = await instance.warehouse<{ id: string }>(
    'SELECT _event_id AS id FROM shop.orders',
  );
  const failed = await openFailures('orders');
  expect(failed).toHaveLength(10);
  expect(new Set([...loaded, ...failed].map(({ id }) => id)).size).toBe(count);
});

test('a merge stream too: what a newer row stands for is superseded, not failed', async () => {
  await rewrite('prices.ndjson', lines(price(asText)));
  const rows = () => instance.warehouse('SELECT sku::int FROM shop.prices ORDER BY sku');
  const before = await rows();
  await instance.warehouse('DELETE FROM shop.prices WHERE sku BETWEEN 100 AND 109');
  await instance.warehouse('DELETE FROM shop.prices WHERE sku BETWEEN 1450 AND 1454');
  // The first ten come back with their newest events, which lie behind the middle of the file.
  expect(await backfill('prices')).toMatchObject({ rowsLoaded: 10, rowsFailed: 5 });
  expect(await openFailures('prices')).toHaveLength(5);
  expect(await rows()).toHaveLength(before.length - 5);
});
