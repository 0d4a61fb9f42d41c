import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { must } from '../../core/errors.ts';
import { holdLedger, type HeldLedger } from '../support/held-ledger.ts';
import { startInstance, type TestInstance } from '../support/instance.ts';
import { postEvents } from '../support/post-events.ts';
import { connectTemporal, type TemporalHand } from '../support/temporal-hand.ts';
import { until } from '../support/until.ts';

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
  app: { type: http }
pipelines:
  shop:
    source: shop
    destinations: [warehouse]
    streams:
      orders: { write: append }
      prices: { key: sku, version: at }
  app: { source: app, destinations: [warehouse] }
`;

const lines = (events: readonly unknown[]) =>
  events.map((event) => `${JSON.stringify(event)}\n`).join('');
const order = (id: number) => ({ id, amount: id % 40 === 7 ? 'n/a' : id * 1.5 });
const price = (sku: number, version: number) => ({
  sku,
  at: new Date(Date.UTC(2026, 0, 1) + version * 1_000).toISOString(),
  price: version,
});
const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => from + n);
const orderCount = 400;
const skus = 50;
/** Where the orders are cut. */
const batchBytes = 2_048;

let instance: TestInstance;
let hand: TemporalHand;
let held: HeldLedger | undefined;
beforeAll(async () => {
  instance = await startInstance({
    config,
    environment: { MILLRACE_MAX_BATCH_BYTES: String(batchBytes) },
  });
  hand = await connectTemporal(instance);
  await instance.write('orders.ndjson', lines(numbers(0, orderCount).map(order)));
  await instance.write(
    'prices.ndjson',
    lines(numbers(0, 300).map((version) => price(version % skus, version))),
  );
  await instance.json(['sync'], [5]);
}, 120_000);
afterEach(async () => {
  await held?.letGo();
  held = undefined;
});
afterAll(async () => {
  await hand?.[Symbol.asyncDispose]();
  await instance?.[Symbol.asyncDispose]();
});

interface Backfill {
  readonly requestId: string;
  readonly state: string;
  readonly batches: number;
  readonly settled: number;
  readonly rowsLoaded: number;
  readonly rowsDuplicate: number;
  readonly rowsSuperseded: number;
  readonly rowsFailed: number;
  readonly workflowId: string;
}

const backfill = (args: readonly string[], codes = [0, 5]) =>
  instance.json<Backfill>(['backfill', 'shop', ...args], codes);
const ids = async () =>
  (await instance.warehouse<{ id: number }>('SELECT id::int FROM shop.orders ORDER BY id')).map(
    ({ id }) => id,
  );
const expectedIds = numbers(0, orderCount).filter((id) => id % 40 !== 7);
const liveRanges = (stream: string) =>
  instance.catalog<{ from: string; to: string }>(
    `SELECT from_position AS "from", to_position AS "to" FROM millrace.batches
      WHERE run = 'live' AND stream = $1 ORDER BY plan_order`,
    [stream],
  );
const openFailures = () =>
  instance.catalog<{ event_id: string; attempts: number; state: string }>(
    `SELECT event_id, attempts, state FROM millrace.failed_events WHERE source = 'shop' ORDER BY event_id`,
  );
const wrongGroups = () =>
  instance.catalog(
    `SELECT g.group_id FROM millrace.failure_groups g
       LEFT JOIN (SELECT group_id, count(*) FILTER (WHERE state = 'open') AS open
                    FROM millrace.failure_records GROUP BY group_id) r USING (group_id)
      WHERE g.open_count <> coalesce(r.open, 0)`,
  );

describe('a backfill of an append stream', () => {
  test('loads what is absent and doubles nothing', async () => {
    expect(await ids()).toEqual(expectedIds);
    await instance.warehouse('DELETE FROM shop.orders WHERE id BETWEEN 100 AND 199');
    const result = await backfill(['--stream', 'orders']);
    expect(await ids()).toEqual(expectedIds);
    const lost = expectedIds.filter((id) => id >= 100 && id < 200).length;
    expect(result).toMatchObject({
      state: 'settled',
      batches: (await liveRanges('orders')).length,
      rowsLoaded: lost,
      rowsDuplicate: expectedIds.length - lost,
    });
    expect(result.workflowId).toBe(`backfill/shop/${result.requestId}`);
    const batches = await instance.catalog<{ batch_id: string; run: string }>(
      `SELECT batch_id, run FROM millrace.batches WHERE run LIKE 'backfill/%'`,
    );
    for (const { batch_id, run } of batches) expect(batch_id.startsWith(`${run}/shop/`)).toBe(true);
    const audit = await instance.catalog(
      `SELECT author, subject FROM millrace.decisions WHERE action = 'backfill'`,
    );
    expect(audit).toEqual([{ author: 'admin', subject: 'shop.orders' }]);
  });

  test('reads only the ranges that reach into its window', async () => {
    await instance.warehouse('DELETE FROM shop.orders');
    const ranges = await liveRanges('orders');
    const [first, second, third] = ranges.slice(1);
    const { batches } = await backfill([
      '--stream',
      'orders',
      '--from',
      must(first).from,
      '--to',
      must(second).to,
    ]);
    expect(batches).toBe(2);
    const part = await ids();
    expect(part.length).toBeGreaterThan(10);
    expect(part).toEqual(
      expectedIds.filter((id) => id >= must(part[0]) && id <= must(part.at(-1))),
    );
    const rest = await backfill(['--stream', 'orders', '--from', must(third).from]);
    expect(rest.batches).toBe(ranges.length - 3);
    await backfill(['--stream', 'orders']);
    expect(await ids()).toEqual(expectedIds);
  });

  test('updates the open record of an event that fails again, resolves one that loads, skips a discarded one', async () => {
    const before = await openFailures();
    expect(before).toHaveLength(orderCount / 40);
    await backfill(['--stream', 'orders']);
    const after = await openFailures();
    expect(after).toEqual(before.map((row) => ({ ...row, attempts: row.attempts + 1 })));
    expect(await wrongGroups()).toEqual([]);

    const [discarded] = await instance.catalog<{ event_id: string }>(
      `SELECT event_id FROM millrace.failed_events WHERE convert_from(raw, 'UTF8')::json ->> 'id' = '7'`,
    );
    await instance.catalog(
      `WITH gone AS (UPDATE millrace.failure_records SET state = 'discarded'
                      WHERE event_id = $1 AND state = 'open' RETURNING group_id)
       UPDATE millrace.failure_groups SET open_count = open_count - 1
        WHERE group_id IN (SELECT group_id FROM gone)`,
      [must(discarded).event_id],
    );
    await instance.json(['mapping', 'set', 'shop', 'orders', 'amount', '--type', 'text']);
    const result = await backfill(['--stream', 'orders'], [0]);
    expect(result).toMatchObject({ rowsLoaded: before.length - 1, rowsFailed: 0 });
    const states = (await openFailures()).map(({ state }) => state);
    expect(states.toSorted()).toEqual(['discarded', ...before.slice(1).map(() => 'resolved')]);
    expect(await ids()).toEqual(numbers(0, orderCount).filter((id) => id !== 7));
    expect(await wrongGroups()).toEqual([]);
  });
});

describe('a backfill of a merge stream', () => {
  const rows = () =>
    instance.warehouse<{ sku: number; price: number }>(
      'SELECT sku::int, price::int FROM shop.prices ORDER BY sku',
    );

  test('brings back what is gone, and puts no older row over a newer one', async () => {
    const before = await rows();
    expect(before).toEqual(numbers(0, skus).map((sku) => ({ sku, price: 250 + sku })));
    await instance.warehouse('DELETE FROM shop.prices WHERE sku < 10');
    await instance.warehouse(
      `UPDATE shop.prices SET price = 9999, at = '2030-01-01Z' WHERE sku = 20`,
    );
    const result = await backfill(['--stream', 'prices'], [0]);
    expect(result).toMatchObject({ state: 'settled', rowsFailed: 0 });
    const expected = before.map((row) => (row.sku === 20 ? { ...row, price: 9999 } : row));
    expect(await rows()).toEqual(expected);
  });
});

describe('a backfill while live changes flow', () => {
  test('ends at the settled head: what is on its way is loaded by it, once', async () => {
    held = await holdLedger(instance.urls.warehouseUrl);
    const more = numbers(orderCount, orderCount + 100);
    await appendFile(join(instance.directory, 'orders.ndjson'), lines(more.map(order)));
    const settledBefore = await liveRanges('orders');
    await instance.json(['sync', 'shop', '--no-wait']);
    const lock = held;
    await until('a load that waits', async () => (await lock.waiting()) >= 1);
    const { requestId, batches } = await backfill(['--stream', 'orders', '--no-wait']);
    expect(batches).toBe(settledBefore.length);
    await held.letGo();
    await untilSettled(requestId);
    await instance.json(['sync'], [0, 5]);
    expect(await ids()).toEqual(numbers(0, orderCount + 100).filter((id) => id !== 7));
  });
});

describe('with nothing but Temporal', () => {
  const start = (workflowId: string, ...args: unknown[]) =>
    hand.client.workflow.start('backfillSource', { workflowId, taskQueue: 'millrace', args });

  test.each([
    { id: 'some-id', input: {}, says: /workflow id `backfill\/shop\/.*input `\{"stream"/ },
    { id: 'backfill/shop/a', input: 'orders', says: /no JSON object/ },
    { id: 'backfill/shop/b', input: { steam: 'orders' }, says: /unknown field "steam"/ },
    { id: 'backfill/shop/c', input: { concurrency: 99 }, says: /from 1 to 16/ },
    { id: 'backfill/shop/d', input: { stream: 'nothing' }, says: /streams: orders, prices/ },
    { id: 'backfill/nowhere/e', input: {}, says: /nowhere/ },
    {
      id: 'backfill/shop/f',
      input: { stream: 'orders', from: 'x' },
      says: /is no position in a file/,
    },
  ])(
    'what is typed wrong as $input under $id ends the run with what to do',
    async ({ id, input, says }) => {
      const run = await start(id, input);
      const error = await run.result().then(
        () => undefined,
        (failure: Error) => failure.cause as Error,
      );
      expect(String(error?.message)).toMatch(says);
    },
  );

  test('it starts by the form, tells its progress, is held, let go and widened', async () => {
    await instance.warehouse('DELETE FROM shop.orders WHERE id < 300');
    held = await holdLedger(instance.urls.warehouseUrl);
    const run = await start('backfill/shop/by-hand', { stream: 'orders', concurrency: 1 });
    const lock = held;
    await until('a load that waits', async () => (await lock.waiting()) >= 1);
    await run.signal('pause');
    await until('the pause', async () => {
      const { state } = (await run.query('progress')) as { state: string };
      return state === 'paused';
    });
    await expect(run.executeUpdate('setConcurrency', { args: ['many'] })).rejects.toThrow();
    await expect(
      run.executeUpdate('setConcurrency', { args: [{ concurrency: 3 }] }),
    ).resolves.toEqual({ concurrency: 3 });
    await held.letGo();
    await until('the batch on its way', async () => {
      const progress = (await run.query('progress')) as Record<string, number>;
      return (
        progress['inFlight'] === 0 && progress['settled'] === 1 && progress['concurrency'] === 3
      );
    });
    const { searchAttributes, memo } = await run.describe();
    expect(searchAttributes).toMatchObject({
      MillraceSource: ['shop'],
      MillraceRun: ['backfill'],
      MillraceStream: ['orders'],
    });
    expect(memo?.['howToStartOne']).toMatch(/backfill\/shop\/2026/);
    await run.signal('resume');
    expect(await run.result()).toMatchObject({ state: 'settled', rowsFailed: 0 });
    expect(await ids()).toEqual(numbers(0, orderCount + 100).filter((id) => id !== 7));
    const audit = await instance.catalog(
      `SELECT author, details ->> 'paused' AS paused, details ->> 'concurrency' AS concurrency
         FROM millrace.decisions WHERE action = 'backfill set' ORDER BY decision_id`,
    );
    expect(audit.filter(({ paused }) => paused !== null)).toEqual([
      { author: 'temporal', paused: 'true', concurrency: null },
      { author: 'temporal', paused: 'false', concurrency: null },
    ]);
  });
});

test('one stream of a source that sends several, and resync of all of them', async () => {
  const bodies = numbers(0, 20).map((n) => ({
    n,
    _metadata: { '@uuid': `u-${n}`, event_type: n % 2 === 0 ? 'clicks' : 'views' },
  }));
  await postEvents(instance, { body: JSON.stringify(bodies) });
  const count = async (table: string) =>
    (await instance.warehouse(`SELECT FROM app.${table}`)).length;
  await until('all events', async () => (await count('clicks')) + (await count('views')) === 20);
  await instance.json(['sync', 'app']);
  await instance.warehouse('DELETE FROM app.clicks; DELETE FROM app.views');
  const result = await instance.json(['backfill', 'app', '--stream', 'clicks']);
  expect(result).toMatchObject({ rowsLoaded: 10, rowsDuplicate: 0 });
  expect([await count('clicks'), await count('views')]).toEqual([10, 0]);
  expect(await instance.json(['resync', 'app'])).toMatchObject({
    rowsLoaded: 10,
    rowsDuplicate: 10,
  });
  expect([await count('clicks'), await count('views')]).toEqual([10, 10]);
});

test('what cannot be done is refused with what to do', async () => {
  const say = async (...args: string[]) => (await instance.cli(...args)).stderr;
  expect(await say('backfill', 'nothing', '--stream', 'orders')).toMatch(/no pipeline nothing/);
  expect(await say('backfill', 'shop', '--stream', 'nothing')).toMatch(/streams: orders, prices/);
  expect(await say('backfill', 'shop', '--stream', 'orders', '--from', 'yesterday')).toMatch(
    /"yesterday" is no position in a file/,
  );
  const twice = ['backfill', 'shop', '--stream', 'orders', '--id', 'twice', '--no-wait'];
  const [one, other] = [await instance.json<Backfill>(twice), await instance.json<Backfill>(twice)];
  expect(other).toEqual(one);
  expect(await say('backfill', 'shop', '--stream', 'prices', '--id', 'twice')).toMatch(
    /asked for with other settings/,
  );
  await untilSettled('twice');
  await instance.json(['pause', 'shop']);
  expect(await say('backfill', 'shop', '--stream', 'orders')).toMatch(/pipeline shop is paused/);
  await instance.json(['resume', 'shop']);
});

async function untilSettled(requestId: string): Promise<void> {
  await until(`backfill ${requestId}`, async () => {
    const [row] = await instance.catalog<{ state: string }>(
      'SELECT state FROM millrace.backfills WHERE request_id = $1',
      [requestId],
    );
    return row?.state === 'settled';
  });
}
