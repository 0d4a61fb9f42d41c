import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { killTree } from '../support/kill-tree.ts';
import { startOrders, type OrdersInstance } from '../support/orders-instance.ts';
import { until } from '../support/until.ts';

let orders: OrdersInstance;

beforeAll(async () => {
  orders = await startOrders();
}, 120_000);

afterAll(() => orders?.[Symbol.asyncDispose]());

describe('kill -9 while a load runs', () => {
  test.each(['Temporal', 'Postgres', 'worker', 'server'] as const)(
    'of %s: it comes back and all of the load arrives, once',
    async (part) => {
      await startLoad();
      const pid = await orders.instance.pidOf(part);
      process.kill(pid, 'SIGKILL');
      await untilSettled();
      expect(await orders.instance.pidOf(part)).not.toBe(pid);
      await orders.audit();
    },
  );

  test('of the supervisor: the next up ends what is left and all of the load arrives, once', async () => {
    await startLoad();
    process.kill(orders.instance.urls.pid, 'SIGKILL');
    await orders.instance.up();
    await untilSettled();
    await orders.audit();
  });

  test('of everything at once: the next up brings all of the load in, once', async () => {
    await startLoad();
    killTree(orders.instance.urls.pid);
    await orders.instance.up();
    await untilSettled();
    await orders.audit();
  });
});

/** Answers in the middle: some deliveries are settled, others on their way or not begun. */
async function startLoad(): Promise<void> {
  const { settled } = await countDeliveries();
  await orders.addOrders(12_000);
  await orders.instance.json(['sync', '--no-wait']);
  await until('the middle of the load', async () => {
    const now = await countDeliveries();
    return now.settled >= settled + 2;
  });
  expect((await countDeliveries()).open).toBeGreaterThan(2);
}

async function untilSettled(): Promise<void> {
  await until(
    'the load to settle',
    async () => {
      const { open, wanted } = await countDeliveries();
      return open + wanted === 0;
    },
    120_000,
  );
}

async function countDeliveries() {
  const [counts] = await orders.instance.catalog<Record<'settled' | 'open' | 'wanted', number>>(
    `SELECT count(*) FILTER (WHERE state = 'settled')::int AS settled,
            count(*) FILTER (WHERE state <> 'settled')::int AS open,
            (SELECT count(*)::int FROM millrace.wanted_syncs) AS wanted
       FROM millrace.deliveries`,
  );
  return counts ?? { settled: 0, open: 0, wanted: 0 };
}
