import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { must } from '../../core/errors.ts';
import { startOrders, type OrdersInstance } from '../support/orders-instance.ts';

/** The points that a load of new orders passes, in the order of a batch's life. */
const ofALoad = [
  'batch-chosen',
  'plan-committed',
  'extract-read',
  'extract-staged',
  'manifest-stored',
  'mapping-planned',
  'table-changed',
  'map-computed',
  'failures-recorded',
  'fence-taken',
  'ledger-inserted',
  'copy-begun',
  'copy-middle',
  'copy-ended',
  'before-commit',
  'commit-sent',
  'commit-unread',
  'before-settle',
  'settle-middle',
  'settled',
] as const;

let orders: OrdersInstance;

beforeAll(async () => {
  orders = await startOrders();
}, 120_000);

afterAll(() => orders?.[Symbol.asyncDispose]());

describe('kill -9 of the worker', () => {
  test.each(ofALoad)('at %s loses nothing and doubles nothing', async (name) => {
    const before = await orders.instance.pidOf('worker');
    await orders.arm(name);
    await orders.addOrders(2_000, name === 'table-changed' ? 'gift' : undefined);
    await orders.sync();
    expect(orders.hasFired(name)).toBe(true);
    expect(await orders.instance.pidOf('worker')).not.toBe(before);
    await orders.audit();
  });

  test('in a restream, with its events claimed and with COMMIT unread, loads them once', async () => {
    const { instance } = orders;
    const groups = await instance.json<{ groupId: string; kind: string }[]>(['failed', 'list']);
    const refused = must(groups.find(({ kind }) => kind === 'destination-rejected'));
    await instance.warehouse('ALTER TABLE shop.orders DROP CONSTRAINT small', [], 'second');
    await orders.arm('restream-claimed');
    await orders.arm('commit-unread');
    await orders.arm('restream-loaded');
    await instance.json(['failed', 'retry', refused.groupId]);
    expect(orders.hasFired('restream-claimed')).toBe(true);
    expect(orders.hasFired('commit-unread')).toBe(true);
    expect(orders.hasFired('restream-loaded')).toBe(true);
    await orders.audit({ refuses: false });
  });
});
