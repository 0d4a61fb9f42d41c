import { appendFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startInstance, type TestInstance } from '../support/instance.ts';
import { startOrders, type OrdersInstance } from '../support/orders-instance.ts';
import { connectTemporal } from '../support/temporal-hand.ts';
import { until } from '../support/until.ts';
import { variants } from '../support/variants.ts';

const config = `
destinations:
  warehouse: { type: postgres }
sources:
  shop:
    type: file
    settleSeconds: 0
    streams:
      clicks: { path: clicks.ndjson }
      orders: { path: orders.ndjson }
pipelines:
  shop:
    source: shop
    destinations: [warehouse]
    schedule: every 2s
    streams: { orders: { key: id, version: at } }
`;

const keys = 1_000;
const firstEvents = 4_000;
const timeOf = (n: number) => new Date(Date.UTC(2026, 0, 1) + n * 1_000).toISOString();

interface Order {
  readonly id: number;
  readonly at: string;
  readonly state: number;
}

describe('backfills of an append and of a merge stream while live changes flow', () => {
  let instance: TestInstance;
  let clicks = 0;
  let versions = 0;
  const newest = new Map<number, Order>();

  beforeAll(async () => {
    instance = await startInstance({
      config,
      environment: { MILLRACE_PATIENCE: '0.05', MILLRACE_MAX_BATCH_BYTES: String(16 * 1024) },
    });
    await addEvents(firstEvents);
    await untilEqual();
  }, 240_000);
  afterAll(() => instance?.[Symbol.asyncDispose]());

  const loss = { name: 'all of Temporal’s state lost', strike: loseTemporal };
  const strikes = [
    { name: 'the worker killed', strike: killWorker },
    { name: 'every backfill terminated by hand', strike: terminateBackfills },
    loss,
  ];
  // The others strike backfills of tables every day (backfill-table.test.ts).
  test.each(variants(strikes, [loss]))(
    '$name in the middle: no duplicate, no older row over a newer one, none missing',
    async ({ strike }) => {
      await damageTables();
      const writer = startWriter();
      for (const stream of ['clicks', 'orders']) {
        await instance.json(['backfill', 'shop', '--stream', stream, '--no-wait']);
      }
      const { settled } = await countBatches();
      await until('the middle', async () => (await countBatches()).settled >= settled + 3);
      await strike();
      expect((await countBatches()).open).toBeGreaterThan(2);
      await until('the end of both', async () => (await countBatches()).running === 0, 180_000);
      await writer.stop();
      await untilEqual();
    },
  );

  async function addEvents(count: number): Promise<void> {
    let [clickLines, orderLines] = ['', ''];
    for (let n = 0; n < count; n += 1) {
      clickLines += `${JSON.stringify({ n: clicks + n, text: `click ${clicks + n}` })}\n`;
      const version = versions + ((n * 7_919) % count); // each once, in no order
      const order = { id: (n * 31) % keys, at: timeOf(version), state: version };
      orderLines += `${JSON.stringify(order)}\n`;
      const known = newest.get(order.id);
      if (!known || known.at < order.at) newest.set(order.id, order);
    }
    clicks += count;
    versions += count;
    await appendFile(join(instance.directory, 'clicks.ndjson'), clickLines);
    await appendFile(join(instance.directory, 'orders.ndjson'), orderLines);
  }

  /** Live changes, a few at a time, until it is told to stop. */
  function startWriter(): { stop(): Promise<void> } {
    const end = new AbortController();
    const writing = (async () => {
      while (!end.signal.aborted) {
        await addEvents(25);
        await new Promise((resolve) => setTimeout(resolve, 500));
      }
    })();
    return {
      async stop() {
        end.abort();
        await writing;
      },
    };
  }

  /** A third of the rows is gone; another third of the orders is older than what was loaded. */
  async function damageTables(): Promise<void> {
    await instance.warehouse('DELETE FROM shop.clicks WHERE n % 3 = 0');
    await instance.warehouse('DELETE FROM shop.orders WHERE id % 3 = 0');
    await instance.warehouse(
      `UPDATE shop.orders SET at = '2020-01-01Z', state = -1, _version = '' WHERE id % 3 = 1`,
    );
  }

  async function untilEqual(): Promise<void> {
    await until('the tables to be as the files', isEqual, 120_000);
    const [counts] = await instance.warehouse(
      `SELECT count(*)::int AS rows, count(DISTINCT n)::int AS clicks,
              count(DISTINCT _event_id)::int AS events FROM shop.clicks`,
    );
    expect(counts).toEqual({ rows: clicks, clicks, events: clicks });
    const rows = await instance.warehouse<{ id: number; state: number }>(
      'SELECT id::int, state::int FROM shop.orders ORDER BY id',
    );
    const expected = [...newest.values()].map(({ id, state }) => ({ id, state }));
    expect(rows).toEqual(expected.toSorted((a, b) => a.id - b.id));
  }

  async function isEqual(): Promise<boolean> {
    const [counts] = await instance.warehouse<{ clicks: number; state: number; orders: number }>(
      `SELECT (SELECT count(*)::int FROM shop.clicks) AS clicks,
              (SELECT sum(state)::int FROM shop.orders) AS state,
              (SELECT count(*)::int FROM shop.orders) AS orders`,
    );
    const state = [...newest.values()].reduce((sum, order) => sum + order.state, 0);
    return counts?.clicks === clicks && counts.orders === newest.size && counts.state === state;
  }

  async function countBatches() {
    const [counts] = await instance.catalog<Record<'settled' | 'open' | 'running', number>>(
      `SELECT count(*) FILTER (WHERE state = 'settled')::int AS settled,
              count(*) FILTER (WHERE state <> 'settled')::int AS open,
              (SELECT count(*)::int FROM millrace.backfills WHERE state = 'running') AS running
         FROM millrace.batches WHERE run LIKE 'backfill/%'`,
    );
    return counts ?? { settled: 0, open: 0, running: 0 };
  }

  async function killWorker(): Promise<void> {
    process.kill(await instance.pidOf('worker'), 'SIGKILL');
  }

  async function terminateBackfills(): Promise<void> {
    await using hand = await connectTemporal(instance);
    const running = await hand.running('backfillSource');
    expect(running.length).toBeGreaterThan(0);
    for (const { workflowId } of running) {
      await hand.client.workflow.getHandle(workflowId).terminate('by hand');
    }
  }

  async function loseTemporal(): Promise<void> {
    await instance.cli('down');
    await rm(join(instance.urls.home, 'temporal'), { recursive: true });
    await instance.up();
  }
});

describe('a backfill of what is all there', () => {
  let orders: OrdersInstance;

  beforeAll(async () => {
    orders = await startOrders();
    await orders.addOrders(3_000);
    await orders.sync();
  }, 120_000);
  afterAll(() => orders?.[Symbol.asyncDispose]());

  const points = ['extract-staged', 'copy-middle', 'commit-unread', 'settle-middle'] as const;
  test.each(variants(points, ['commit-unread']))(
    'changes nothing, tables and failed events, also when the worker dies at %s',
    async (point) => {
      await orders.arm(point);
      const result = await orders.instance.json<{ rowsLoaded: number }>(
        ['backfill', 'shop', '--stream', 'orders'],
        [5],
      );
      expect(orders.hasFired(point)).toBe(true);
      expect(result).toMatchObject({ state: 'settled', rowsLoaded: 0 });
      await orders.audit();
    },
  );
});
