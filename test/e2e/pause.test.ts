import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { holdLedger } from '../support/held-ledger.ts';
import { startInstance, type TestInstance } from '../support/instance.ts';
import { postEvents } from '../support/post-events.ts';
import { connectTemporal } from '../support/temporal-hand.ts';
import { until } from '../support/until.ts';

const config = `
destinations:
  warehouse: { type: postgres }
sources:
  shop: { type: file, settleSeconds: 0, streams: { orders: { path: 'orders-*.ndjson' } } }
  other: { type: file, settleSeconds: 0, path: other.ndjson }
  app: { type: http }
pipelines:
  shop: { source: shop, destinations: [warehouse], schedule: every 2s }
  other: { source: other, destinations: [warehouse] }
  app: { source: app, destinations: [warehouse] }
`;

let instance: TestInstance;
beforeAll(async () => {
  instance = await startInstance({ config });
}, 120_000);
afterAll(() => instance?.[Symbol.asyncDispose]());

const addOrder = (id: number) => instance.write(`orders-${id}.ndjson`, `{"id":${id}}\n`);
const orders = async () =>
  (await instance.warehouse<{ id: number }>('SELECT id::int FROM shop.orders ORDER BY id')).map(
    ({ id }) => id,
  );
const untilOrders = (count: number) =>
  until(`${count} orders`, async () => (await orders()).length === count);
/** A round of `maintain` that began after now has ended. */
const untilMaintained = async () => {
  await using hand = await connectTemporal(instance);
  const query = `WorkflowType = 'maintain' AND ExecutionStatus = 'Completed' AND StartTime > '${new Date().toISOString()}'`;
  await until('a round of maintain', async () => {
    return (await Array.fromAsync(hand.client.workflow.list({ query }))).length >= 2;
  });
};
const schedule = async () => {
  await using hand = await connectTemporal(instance);
  return (await hand.client.schedule.getHandle('sync/shop').describe()).state;
};

describe('a paused pipeline', () => {
  test('finishes what is planned and plans nothing new', async () => {
    await addOrder(1);
    await untilOrders(1);
    const held = await holdLedger(instance.urls.warehouseUrl);
    await addOrder(2);
    await until('a load that waits', async () => (await held.waiting()) >= 1);
    const answer = await instance.json<{ open: number }>(['pause', 'shop']);
    expect(answer).toMatchObject({ pipeline: 'shop', paused: true, changed: true, open: 1 });
    await addOrder(3);
    await held.letGo();
    await untilOrders(2);
    await untilMaintained();
    expect(await orders()).toEqual([1, 2]);
    const lanes = await instance.catalog(`SELECT lane FROM millrace.lanes WHERE source = 'shop'`);
    expect(lanes).toHaveLength(2);
  });

  test('says so: on sync, in status, in its schedule and in the audit', async () => {
    const { code, stderr } = await instance.cli('sync', 'shop');
    expect(code).toBe(1);
    expect(stderr).toMatch(/pipeline shop is paused: "resume shop" lets it go on/);
    await instance.write('other.ndjson', '{"id":1}\n');
    expect(await instance.json(['sync'])).toMatchObject({
      sources: ['other', 'app'],
      paused: ['shop'],
    });
    expect(await instance.json(['status'])).toMatchObject({ status: { paused: ['shop'] } });
    expect(await schedule()).toMatchObject({ paused: true });
    expect((await schedule()).note).toMatch(/paused in Millrace, "millrace resume shop"/);
    const audit = await instance.catalog(
      `SELECT author, action, subject FROM millrace.decisions WHERE action = 'pause'`,
    );
    expect(audit).toEqual([{ author: 'admin', action: 'pause', subject: 'shop' }]);
    expect(await instance.json(['pause', 'shop'])).toMatchObject({ changed: false });
    expect((await instance.cli('pause', 'nothing')).stderr).toMatch(/there is no pipeline nothing/);
  });

  test('stays so when all of Temporal’s state is lost, also when its schedule is let go by hand', async () => {
    await instance.cli('down');
    await rm(join(instance.urls.home, 'temporal'), { recursive: true });
    await instance.up();
    await until('its schedule', async () => (await schedule()).paused);
    await using hand = await connectTemporal(instance);
    const handle = hand.client.schedule.getHandle('sync/shop');
    await handle.trigger();
    await handle.unpause('by hand');
    await until('the schedule to be paused again', async () => (await schedule()).paused);
    await untilMaintained();
    expect(await orders()).toEqual([1, 2]);
  });

  test('is nothing that is lost: events that are posted are kept, and all comes in on resume', async () => {
    await instance.json(['pause', 'app']);
    const posted = await postEvents(instance, { body: '{"n":1}' });
    expect(posted).toMatchObject({ status: 202 });
    await untilMaintained();
    const batches = await instance.catalog(`SELECT FROM millrace.batches WHERE source = 'app'`);
    expect(batches).toEqual([]);
    expect(await instance.json(['resume', 'app'])).toMatchObject({ paused: false, changed: true });
    await instance.json(['resume', 'shop']);
    await untilOrders(3);
    await until('the event', async () => {
      return (await instance.warehouse('SELECT FROM app.app')).length === 1;
    });
    expect(await schedule()).toMatchObject({ paused: false });
    expect(await instance.json(['resume', 'shop'])).toMatchObject({ changed: false });
  });
});
