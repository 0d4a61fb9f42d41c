import { afterEach, beforeEach, expect, test } from 'vitest';
import { must } from '../../core/errors.ts';
import type { RecoveredSource, RecoveryAnswer } from '../../server/contract/recoveries.ts';
import { takeBackup } from '../support/backups.ts';
import { holdDecisions } from '../support/held-decisions.ts';
import { startOrders, type OrdersInstance } from '../support/orders-instance.ts';
import { until } from '../support/until.ts';

let orders: OrdersInstance;
beforeEach(async () => {
  orders = await startOrders();
}, 120_000);
afterEach(() => orders?.[Symbol.asyncDispose]());

const catalogUrl = () => orders.instance.urls.catalogUrl;
const warehouseUrl = (name = 'warehouse') => orders.instance.urls.destinations[name] ?? '';

interface SyncAnswer {
  readonly stoppedLanes: readonly { lane: string; kind: string; message: string }[];
}

/** A sync of a source that is held ends with 1 and says why. */
async function expectHeld(message: RegExp): Promise<void> {
  const { stoppedLanes } = await until('the stop', async () => {
    const answer = await orders.instance.json<SyncAnswer>(['sync'], [0, 1, 5]);
    return answer.stoppedLanes.length > 0 && answer;
  });
  expect(stoppedLanes[0]).toMatchObject({ lane: '*', kind: 'backup-mismatch' });
  expect(stoppedLanes[0]?.message).toMatch(message);
}

async function recover(...flags: string[]): Promise<RecoveredSource> {
  const answer = await orders.instance.json<RecoveryAnswer>(['recover', ...flags]);
  return must(answer.sources[0], 'the source');
}

/** Recovers, loads what is left, and looks at everything; then nothing is left to recover. */
async function expectMended(): Promise<RecoveredSource> {
  const would = await recover('--dry-run');
  const { wasHeld, ...did } = await recover();
  expect({ wasHeld, ...did }).toEqual(would);
  expect(did).toMatchObject({ conflicts: [], unseenLanes: [] });
  await orders.sync();
  await orders.audit();
  const outOfOrder = `SELECT FROM (SELECT from_position, lag(to_position) OVER
      (PARTITION BY source, lane ORDER BY plan_order) AS before FROM millrace.batches
    WHERE run = 'live') b WHERE from_position <> before`;
  expect(await orders.instance.catalog(outOfOrder)).toEqual([]);
  const { source: _, conflicts, unseenLanes, wasHeld: still, ...counts } = await recover();
  expect({ conflicts, unseenLanes, still }).toEqual({
    conflicts: [],
    unseenLanes: [],
    still: false,
  });
  expect(Object.values(counts).filter((count) => count !== 0)).toEqual([]);
  return { wasHeld, ...did };
}

test('an older catalog: nothing more is planned or loaded until recover has mended it', async () => {
  await orders.addOrders(1_000);
  await orders.sync();
  const backup = await takeBackup(catalogUrl());
  await orders.addOrders(2_000);
  await orders.sync();
  const before = await orders.instance.warehouse('SELECT count(*) FROM shop.orders');
  await backup.restore();
  await orders.addOrders(500);
  await expectHeld(/catalog was restored from an older backup/);
  expect(await orders.instance.warehouse('SELECT count(*) FROM shop.orders')).toEqual(before);
  const { adopted, lanes, rebuilding, wasHeld } = await expectMended();
  expect({ lanes, wasHeld, adopts: adopted > 0, rebuilds: rebuilding > 0 }).toEqual({
    lanes: 1,
    wasHeld: true,
    adopts: true,
    rebuilds: true,
  });
}, 240_000);

test('an older warehouse: nothing more is planned or loaded until recover has mended it', async () => {
  const backup = await takeBackup(warehouseUrl());
  await orders.addOrders(2_000);
  await orders.sync();
  await backup.restore();
  await expectHeld(/warehouse was restored from an older backup/);
  const { reopened, adopted } = await expectMended();
  expect({ reopens: reopened > 0, adopted }).toEqual({ reopens: true, adopted: 0 });
}, 240_000);

test('both, of different moments: what each destination lacks loads, nothing else', async () => {
  await orders.addOrders(500);
  await orders.sync();
  const catalog = await takeBackup(catalogUrl());
  await orders.addOrders(1_500, 'colour');
  await orders.sync();
  const warehouse = await takeBackup(warehouseUrl());
  await orders.addOrders(1_500);
  await orders.sync();
  await warehouse.restore();
  await catalog.restore();
  await orders.addOrders(700);
  await expectHeld(/restored from an older backup/);
  const { adopted, lanes } = await expectMended();
  expect({ lanes, adopts: adopted > 0 }).toEqual({ lanes: 2, adopts: true });
}, 240_000);

test('the server killed in the middle of recover: nothing is changed, and the next one mends it', async () => {
  const { instance } = orders;
  const backup = await takeBackup(catalogUrl());
  await orders.addOrders(1_000);
  await orders.addOrders(1_000);
  await orders.sync();
  await backup.restore();
  await expectHeld(/catalog was restored from an older backup/);
  const batches = () => instance.catalog('SELECT batch_id, state FROM millrace.batches ORDER BY 1');
  const before = await batches();
  await using hand = await holdDecisions(catalogUrl());
  const recovering = instance.cli('recover');
  await until('recover to reach its end', () => hand.isWaitedFor());
  process.kill(await instance.pidOf('server'), 'SIGKILL');
  await hand.letGo();
  expect((await recovering).code).not.toBe(0);
  expect(await batches()).toEqual(before);
  await until('the server', async () => (await instance.cli('status')).code === 0);
  await expectHeld(/catalog was restored from an older backup/);
  await expectMended();
}, 240_000);
