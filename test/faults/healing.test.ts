import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { must } from '../../core/errors.ts';
import { holdLedger, type HeldLedger } from '../support/held-ledger.ts';
import { startOrders, type OrdersInstance } from '../support/orders-instance.ts';
import { connectTemporal } from '../support/temporal-hand.ts';
import { until } from '../support/until.ts';

const types = ['syncSource', 'processBatch', 'reviewFailures', 'restream'] as const;
type WorkflowType = (typeof types)[number];

let orders: OrdersInstance;
/** The failure group of orders whose amount is no number: they fail again whenever they are retried. */
let groupId: string;
let held: HeldLedger | undefined;

beforeAll(async () => {
  orders = await startOrders();
  await orders.addOrders(500);
  await orders.sync();
  const { instance } = orders;
  const groups = await instance.json<{ groupId: string; kind: string; destination: string }[]>([
    'failed',
    'list',
  ]);
  const wrongAmounts = groups.find(
    ({ kind, destination }) => kind === 'type-mismatch' && destination === 'warehouse',
  );
  groupId = must(wrongAmounts, 'the group of wrong amounts').groupId;
  // On a schedule, and a rare one: then an "up" syncs nothing by itself.
  const config = await readFile(join(instance.directory, 'millrace.yaml'), 'utf8');
  await instance.write(
    'millrace.yaml',
    config.replace(', second] }', ', second], schedule: every 10h }'),
  );
  await instance.json(['apply']);
}, 120_000);

afterEach(async () => {
  await held?.letGo();
  held = undefined;
});

afterAll(() => orders?.[Symbol.asyncDispose]());

test('server and worker killed between plan and start: what was planned arrives, nobody acts', async () => {
  const { instance } = orders;
  const [server, worker] = [await instance.pidOf('server'), await instance.pidOf('worker')];
  await orders.arm('plan-committed');
  await orders.addOrders(2_000);
  await instance.json(['sync', '--no-wait']);
  await until('the end of the worker', async () => orders.hasFired('plan-committed'));
  process.kill(server, 'SIGKILL');
  await untilHealed();
  expect(await instance.pidOf('server')).not.toBe(server);
  expect(await instance.pidOf('worker')).not.toBe(worker);
});

describe('with a load, a review and a restream under way', () => {
  test.each<{ name: string; ended: readonly WorkflowType[] }>([
    ...types.map((type) => ({ name: `every ${type}`, ended: [type] })),
    { name: 'everything at once', ended: types },
  ])('$name terminated by hand loses nothing: maintain starts it again', async ({ ended }) => {
    await startAllKinds();
    for (const type of ended) await terminate(type);
    await held?.letGo();
    await untilHealed();
  });

  test('all of Temporal’s state deleted while everything is down: the next up goes on with all of it', async () => {
    await startAllKinds();
    const review = await runOfReview();
    await orders.instance.cli('down');
    await deleteTemporalState();
    await orders.instance.up();
    await untilHealed();
    expect(await runOfReview()).not.toBe(review);
    await assertTemporalIsMended();
  });

  test('all of Temporal’s state deleted under a running instance: it goes on with all of it', async () => {
    await startAllKinds();
    const review = await runOfReview();
    const temporal = await orders.instance.pidOf('Temporal');
    await deleteTemporalState();
    process.kill(temporal, 'SIGKILL');
    await until('another Temporal', async () => {
      return (await orders.instance.pidOf('Temporal')) !== temporal;
    });
    await held?.letGo();
    await untilHealed();
    expect(await runOfReview()).not.toBe(review);
    await assertTemporalIsMended();
  });

  test('the schedule of maintain deleted too: the server brings it back', async () => {
    await startAllKinds();
    await using hand = await connectTemporal(orders.instance);
    await hand.client.schedule.getHandle('maintain').delete();
    for (const type of types) await terminate(type);
    await held?.letGo();
    await untilHealed();
    expect(await hand.schedules()).toContain('maintain');
  });
});

test('a retry that was answered, and lost with all of Temporal’s state before its claim, runs by itself, once', async () => {
  const { instance } = orders;
  const before = await attemptsOfGroup();
  const worker = await instance.pidOf('worker');
  process.kill(worker, 'SIGSTOP'); // nothing is claimed before Temporal has lost it
  const temporal = await instance.pidOf('Temporal');
  await instance.json(['failed', 'retry', groupId, '--no-wait']);
  await deleteTemporalState();
  process.kill(temporal, 'SIGKILL');
  await until('another Temporal', async () => (await instance.pidOf('Temporal')) !== temporal);
  process.kill(worker, 'SIGCONT');
  await untilHealed();
  expect(await attemptsOfGroup()).toEqual(before.map((attempts) => attempts + 1));
});

async function attemptsOfGroup(): Promise<readonly number[]> {
  const rows = await orders.instance.catalog<{ attempts: number }>(
    `SELECT attempts FROM millrace.failed_events
      WHERE group_id = $1 AND state = 'open' ORDER BY record_id`,
    [groupId],
  );
  expect(rows.length).toBeGreaterThan(0);
  return rows.map(({ attempts }) => attempts);
}

/** Loads of new orders and of a restream stand before their first row; a review waits for it. */
async function startAllKinds(): Promise<void> {
  const { instance } = orders;
  held = await holdLedger(instance.urls.warehouseUrl);
  await orders.addOrders(1_500);
  await instance.json(['sync', '--no-wait']);
  await instance.json(['failed', 'retry', groupId, '--no-wait']);
  const lock = held;
  await until('loads of both', async () => (await lock.waiting()) >= 2);
  await using hand = await connectTemporal(instance);
  for (const type of types) {
    await until(`a running ${type}`, async () => (await hand.running(type)).length > 0);
  }
}

async function terminate(type: WorkflowType): Promise<void> {
  await using hand = await connectTemporal(orders.instance);
  const running = await hand.running(type);
  expect(running.length).toBeGreaterThan(0);
  for (const { workflowId, runId } of running) {
    await hand.client.workflow.getHandle(workflowId, runId).terminate('by hand');
  }
}

async function deleteTemporalState(): Promise<void> {
  await rm(join(orders.instance.urls.home, 'temporal'), { recursive: true });
}

/** Everything planned is in, once; the restream is over; each open group has a review that waits. */
async function untilHealed(): Promise<void> {
  await until('everything to be settled', isSettled, 120_000);
  await orders.audit();
  const groups = await orders.instance.catalog<{ id: string }>(
    'SELECT group_id AS id FROM millrace.failure_groups WHERE open_count > 0',
  );
  await using hand = await connectTemporal(orders.instance);
  for (const { id } of groups) {
    await until(`the review of ${id} to wait`, async () => {
      const { status, searchAttributes } = await hand.client.workflow
        .getHandle(`review/${id}`)
        .describe();
      return status.name === 'RUNNING' && searchAttributes['MillraceReview']?.[0] === 'waiting';
    });
  }
}

async function isSettled(): Promise<boolean> {
  const [open] = await orders.instance.catalog<{ count: number }>(
    `SELECT (SELECT count(*) FROM millrace.deliveries WHERE state <> 'settled')::int
          + (SELECT count(*) FROM millrace.restreams WHERE state <> 'settled')::int
          + (SELECT count(*) FROM millrace.wanted_syncs)::int AS count`,
  );
  return open?.count === 0;
}

async function runOfReview(): Promise<string> {
  await using hand = await connectTemporal(orders.instance);
  return (await hand.client.workflow.getHandle(`review/${groupId}`).describe()).runId;
}

async function assertTemporalIsMended(): Promise<void> {
  await using hand = await connectTemporal(orders.instance);
  expect(await hand.schedules()).toEqual(['maintain', 'sync/shop']);
  expect(await hand.retentionDays()).toBe(30);
  expect(await hand.searchAttributes()).toEqual(
    expect.arrayContaining(['MillraceReview', 'MillraceSource', 'MillraceParked']),
  );
}
