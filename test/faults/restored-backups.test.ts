import { afterEach, beforeEach, expect, test } from 'vitest';
import { must } from '../../core/errors.ts';
import type { RecoveredSource, RecoveryAnswer } from '../../server/contract/recoveries.ts';
import { takeBackup } from '../support/backups.ts';
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
