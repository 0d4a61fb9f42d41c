import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { must } from '../../core/errors.ts';
import { startOrders, type OrdersInstance } from '../support/orders-instance.ts';
import { variants } from '../support/variants.ts';

/** The points that a load of new orders passes, in the order of a batch's life. */
const ofALoad = [
  'batch-chosen',
  'plan-committed',
  'extract-read',
  'extract-staged',
  'manifest-stored',
  'mapping-planned',
  'table-changed',
  'ddl-committed',
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
const daily = [
  'plan-committed',
  'extract-staged',
  'ddl-committed',
  'copy-middle',
  'commit-unread',
  'settle-middle',
] as const;

/** Orders that bring a column pass the change of the table too. */
const newFields: Readonly<Record<string, string>> = {
  'table-changed': 'gift',
  'ddl-committed': 'ribbon',
};

let orders: OrdersInstance;

beforeAll(async () => {
  orders = await startOrders();
}, 120_000);

afterAll(() => orders?.[Symbol.asyncDispose]());

describe('kill -9 of the worker', () => {
  test.each(variants(ofALoad, daily))('at %s loses nothing and doubles nothing', async (name) => {
    const before = await orders.instance.pidOf('worker');
    await orders.arm(name);
    await orders.addOrders(2_000, newFields[name]);
    await orders.sync();
    expect(orders.hasFired(name)).toBe(true);
    expect(await orders.instance.pidOf('worker')).not.toBe(before);
    await orders.audit();
    await assertDdlIsLogged();
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

/** Each column of the tables came by exactly one change that is in the audit, and none is open. */
async function assertDdlIsLogged(): Promise<void> {
  const { instance } = orders;
  expect(
    await instance.catalog(`SELECT FROM millrace.ddl_records WHERE state = 'planned'`),
  ).toEqual([]);
  for (const destination of ['warehouse', 'second']) {
    const log = await instance.catalog<{ statement: string }>(
      `SELECT statement FROM millrace.ddl_log WHERE destination = $1 AND stream = 'orders'`,
      [destination],
    );
    const columns = await instance.warehouse<{ name: string }>(
      `SELECT column_name AS name FROM information_schema.columns
        WHERE table_schema = 'shop' AND table_name = 'orders'`,
      [],
      destination,
    );
    for (const { name } of columns) {
      const naming = log.filter(({ statement }) => statement.includes(`"${name}"`));
      expect(naming, `${destination}: ${name}`).toHaveLength(1);
    }
  }
}
