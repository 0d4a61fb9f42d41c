import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startAttempts, type Attempts } from '../support/attempts.ts';
import { startOrders, type OrdersInstance } from '../support/orders-instance.ts';
import { variants } from '../support/variants.ts';

let orders: OrdersInstance;
let one: Attempts;
let other: Attempts;

/** The instance's own worker stands still meanwhile: what works here are attempts of our own. */
beforeAll(async () => {
  orders = await startOrders();
  process.kill(await orders.instance.pidOf('worker'), 'SIGSTOP');
  [one, other] = await Promise.all([
    startAttempts(orders.instance),
    startAttempts(orders.instance),
  ]);
}, 120_000);

afterAll(async () => {
  await one?.[Symbol.asyncDispose]();
  await other?.[Symbol.asyncDispose]();
  await orders?.[Symbol.asyncDispose]();
});

describe('two processes at once', () => {
  test('plan a lane without an overlap and without a gap', async () => {
    await orders.addOrders(4_000);
    const plans = await Promise.all([one.run('plan shop'), other.run('plan shop')]);
    const batches = await openBatches();
    expect(batches.length).toBeGreaterThan(1);
    for (const { result } of plans) expect(result).toBe(batches.length);
  });

  test('work on the same batch and load it once', async () => {
    for (const batchId of await openBatches()) {
      const command = `batch ${batchId}`;
      const [first, second] = await Promise.all([one.run(command), other.run(command)]);
      expect(new Set([first.result, second.result].flat())).toEqual(new Set(['settled']));
    }
    await orders.audit();
  });
});

/** Where an attempt may fall asleep, and whether it holds the fence of its batch there. */
const inABatch = [
  { name: 'extract-read', fenced: false },
  { name: 'extract-staged', fenced: false },
  { name: 'table-changed', fenced: false },
  { name: 'map-computed', fenced: false },
  { name: 'fence-taken', fenced: true },
  { name: 'ledger-inserted', fenced: true },
  { name: 'copy-middle', fenced: true },
  { name: 'before-commit', fenced: true },
  { name: 'commit-unread', fenced: false },
  { name: 'before-settle', fenced: false },
  { name: 'settle-middle', fenced: false },
] as const;
const daily = inABatch.filter(({ name }) =>
  ['extract-staged', 'table-changed', 'copy-middle', 'commit-unread', 'settle-middle'].includes(
    name,
  ),
);

describe('an attempt that sleeps while another one does its work', () => {
  test.each(variants(inABatch, daily))(
    'from $name on wakes up late and changes nothing',
    async (point) => {
      await using zombie = await startAttempts(orders.instance, { stopAt: point.name });
      await orders.addOrders(1_000, point.name === 'table-changed' ? 'gift' : undefined);
      await other.run('plan shop');
      const [batchId] = await openBatches();
      const late = zombie.run(`batch ${batchId}`);
      await zombie.untilStopped();
      expect((await other.run(`batch ${batchId}`)).result).toEqual(['settled', 'settled']);
      await orders.audit();
      zombie.wake();
      const { result, failures } = await late;
      // One that sleeps in extract wakes up to deliveries that want nothing any more.
      expect(result).toEqual(point.name.startsWith('extract-') ? [] : ['settled', 'settled']);
      if (point.fenced) expect(failures).toContain('destination-unavailable'); // its session was ended
      await orders.audit();
    },
  );
});

describe('a source that is synced', () => {
  test('twice, and twice at once, stays as it was, also when a worker wakes up late', async () => {
    process.kill(await orders.instance.pidOf('worker'), 'SIGCONT');
    await orders.sync();
    const before = await ledger();
    await Promise.all([orders.sync(), orders.sync()]);
    await orders.sync();
    expect(await ledger()).toEqual(before);
    await orders.audit();
  });
});

async function openBatches(): Promise<readonly string[]> {
  const rows = await orders.instance.catalog<{ batch_id: string }>(
    `SELECT batch_id FROM millrace.batches WHERE state <> 'settled' ORDER BY plan_order`,
  );
  return rows.map(({ batch_id }) => batch_id);
}

function ledger() {
  return orders.instance.warehouse('SELECT * FROM _millrace.ledger ORDER BY batch_id');
}
