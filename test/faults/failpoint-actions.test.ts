import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { armFailpoint } from '../support/failpoints.ts';
import { startOrders, type OrdersInstance } from '../support/orders-instance.ts';
import { until } from '../support/until.ts';

let orders: OrdersInstance;

beforeAll(async () => {
  orders = await startOrders('exit', { MILLRACE_KEEP_EXTRACTS_MS: '0' });
}, 120_000);

afterAll(() => orders?.[Symbol.asyncDispose]());

describe('armed in a worker that runs, loses nothing and doubles nothing:', () => {
  test.each([
    'batch-chosen=throw',
    'extract-read=throw',
    'extract-staged=delay:2s',
    'mapping-planned=throw',
    'copy-begun=throw',
    'copy-middle=delay:2s',
    'copy-ended=throw',
    'before-commit=stop:3s',
    'commit-sent=throw',
    'commit-sent=stop:3s',
    'settle-middle=throw',
    'settled=throw*2',
    'fence-taken=exit@2',
  ])('%s', async (text) => {
    const worker = await orders.instance.pidOf('worker');
    const point = await armFailpoint(orders.instance.urls.home, text);
    await orders.addOrders(2_000);
    await orders.sync();
    expect(point.hasFired()).toBe(true);
    const isSame = (await orders.instance.pidOf('worker')) === worker;
    expect(isSame).toBe(!text.includes('=exit'));
    await orders.audit();
    await point.disarm();
  });
});

test('kill -9 in the middle of a sweep: the extracts that are settled go, nothing else does', async () => {
  const { instance } = orders;
  const before = await instance.pidOf('worker');
  await orders.arm('sweep-middle');
  await orders.addOrders(500);
  await orders.sync();
  await until('the kill', async () => orders.hasFired('sweep-middle'));
  await until('another worker', async () => (await instance.pidOf('worker')) !== before);
  const extracts = await until('all settled extracts to be removed', async () => {
    const rows = await instance.catalog<{ key: string; isRemoved: boolean }>(
      `SELECT staging_key AS key, removed_at IS NOT NULL AS "isRemoved" FROM millrace.extracts`,
    );
    return rows.every(({ isRemoved }) => isRemoved) && rows;
  });
  expect(extracts.length).toBeGreaterThan(0);
  const folder = join(instance.urls.home, 'staging', 'extracts');
  expect(extracts.filter(({ key }) => existsSync(join(folder, key)))).toEqual([]);
  await orders.audit();
});
