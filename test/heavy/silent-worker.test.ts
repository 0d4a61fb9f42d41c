import { expect, test } from 'vitest';
import { holdLedger } from '../support/held-ledger.ts';
import { startOrders, type OrdersInstance } from '../support/orders-instance.ts';
import { startSecondWorker } from '../support/second-worker.ts';
import { until } from '../support/until.ts';

/** Heavy: Temporal goes on handing tasks to a worker that hangs until its long polls run out. */
test('a worker that hangs inside its loads is replaced by another; what it wakes up to does nothing', async () => {
  await using orders = await startOrders();
  const { instance } = orders;
  const held = await holdLedger(instance.urls.warehouseUrl);
  await orders.addOrders(3_000);
  await instance.json(['sync', '--no-wait']);
  await until('loads under way', async () => (await held.waiting()) >= 2);
  const worker = await instance.pidOf('worker');
  await using _second = await startSecondWorker(worker);
  process.kill(worker, 'SIGSTOP');
  try {
    await held.letGo();
    await until('the other worker to load everything', () => isSettled(orders), 240_000);
    await orders.audit();
  } finally {
    process.kill(worker, 'SIGCONT');
  }
  await orders.addOrders(500);
  await orders.sync();
  await orders.audit();
  expect(await instance.pidOf('worker')).toBe(worker);
});

async function isSettled({ instance }: OrdersInstance): Promise<boolean> {
  const [open] = await instance.catalog<{ count: number }>(
    `SELECT (SELECT count(*) FROM millrace.deliveries WHERE state <> 'settled')::int
          + (SELECT count(*) FROM millrace.wanted_syncs)::int AS count`,
  );
  return open?.count === 0;
}
