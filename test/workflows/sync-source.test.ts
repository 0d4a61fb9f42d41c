import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { PlanInput, PlanResult } from '../../activities/contract.ts';
import { nudgeSignal, workflowIds } from '../../workflows/messages.ts';
import { createBatchFakes, extractedBatch, loadedAs, toRunnable } from '../support/fake-batches.ts';
import {
  startTemporalServer,
  type FakeWorker,
  type TemporalServer,
} from '../support/temporal-server.ts';
import { until } from '../support/until.ts';

let server: TemporalServer;

beforeAll(async () => {
  server = await startTemporalServer({ suggestAfterEvents: 150 });
}, 60_000);

afterAll(async () => server[Symbol.asyncDispose](), 60_000);

/** A source with so many planned batches; a batch leaves the plan when it is loaded. */
function createPlan(count: number) {
  const open = new Set<string>(Array.from({ length: count }, () => randomUUID()));
  const ids = [...open];
  let plans = 0;
  return {
    ids,
    settle: (batchId: string) => open.delete(batchId),
    plans: () => plans,
    async planBatches({ window }: PlanInput): Promise<PlanResult> {
      plans += 1;
      return { batches: [...open].slice(0, window).map(toRunnable) };
    },
    startReviews: () => Promise.resolve(),
  };
}

async function startSync({ client, taskQueue }: FakeWorker) {
  const source: string = randomUUID();
  return client.workflow.start('syncSource', {
    workflowId: workflowIds.sync(source),
    taskQueue,
    args: [{ source }],
  });
}

/** Each test has a worker of its own. */
describe.concurrent('a sync', () => {
  test('a sync runs every planned batch once, then asks for reviews, and says what came in', async () => {
    const plan = createPlan(10);
    const reviews: string[] = [];
    const { activities, extracted } = createBatchFakes({
      async load({ batchId }) {
        plan.settle(batchId);
        return loadedAs('settled');
      },
    });
    await using worker = await server.startWorker({
      ...activities,
      planBatches: (input) => plan.planBatches(input),
      async startReviews({ source }) {
        reviews.push(source);
      },
    });
    const run = await startSync(worker);
    await run.result();
    expect([...extracted].sort()).toEqual([...plan.ids].sort());
    expect(reviews.map((source) => workflowIds.sync(source))).toEqual([run.workflowId]);
    const { memo } = await run.describe();
    expect(memo?.['result']).toMatch(/ · readings → 10 batches: 100 rows, 10 failed events$/);
  });

  test('a nudge that comes during the last plan makes it plan once more', async () => {
    const plan = createPlan(0);
    const [asked, release] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    await using worker = await server.startWorker({
      async planBatches(input) {
        const answer = await plan.planBatches(input);
        if (plan.plans() > 1) return answer;
        asked.resolve();
        await release.promise;
        return answer;
      },
    });
    const run = await startSync(worker);
    await asked.promise;
    await run.signal(nudgeSignal);
    release.resolve();
    await run.result();
    expect(plan.plans()).toBe(2);
  });

  test('a source that can be read only later is looked at again, or sooner when a nudge comes', async () => {
    let plans = 0;
    await using worker = await server.startWorker({
      async planBatches() {
        plans += 1;
        if (plans === 1) return { batches: [], lookAgainMs: 50 };
        return plans === 2 ? { batches: [], lookAgainMs: 3_600_000 } : { batches: [] };
      },
    });
    const run = await startSync(worker);
    await until('the second plan', async () => plans === 2);
    await run.signal(nudgeSignal);
    await run.result();
    expect(plans).toBe(3);
  });

  test('a plan that has all is not made again: what comes later is not asked for', async () => {
    const calls: PlanInput[] = [];
    const open = new Set<string>([randomUUID()]);
    const { activities } = createBatchFakes({
      async load({ batchId }) {
        open.delete(batchId);
        return loadedAs('settled');
      },
    });
    await using worker = await server.startWorker({
      ...activities,
      async planBatches(input) {
        calls.push(input);
        if (!input.isPlanned && calls.length > 1) open.add(randomUUID()); // it is never drained
        return { batches: [...open].map(toRunnable), isAll: true };
      },
      startReviews: async () => undefined,
    });
    const run = await startSync(worker);
    await run.result();
    const [first, ...others] = calls;
    expect(first?.isPlanned).toBeUndefined();
    expect(Math.abs((first?.askedAt ?? 0) - Date.now())).toBeLessThan(60_000);
    expect(others.length).toBeGreaterThan(0);
    expect(others.every(({ isPlanned, askedAt }) => isPlanned && askedAt === first?.askedAt)).toBe(
      true,
    );
  });

  test('what can be read only later is planned when its time has come, not with every batch', async () => {
    const open = new Set<string>([randomUUID(), randomUUID(), randomUUID()]);
    const plans: PlanInput[] = [];
    const { activities } = createBatchFakes({
      async load({ batchId }) {
        open.delete(batchId);
        return loadedAs('settled');
      },
    });
    await using worker = await server.startWorker({
      ...activities,
      async planBatches(input) {
        const batches = [...open].map(toRunnable);
        if (input.isPlanned) return { batches };
        plans.push(input);
        return plans.length === 1 ? { batches, lookAgainMs: 3_600_000 } : { batches, isAll: true };
      },
      startReviews: async () => undefined,
    });
    const run = await startSync(worker);
    await until('all batches', async () => open.size === 0);
    expect(plans).toHaveLength(1);
    await run.signal(nudgeSignal);
    await run.result();
    expect(plans).toHaveLength(2);
    expect(plans[1]?.askedAt).toBeGreaterThan(plans[0]?.askedAt ?? 0);
  });

  test('a batch that another run has in flight is waited for, not started beside it', async () => {
    const plan = createPlan(1);
    const [batchId = ''] = plan.ids;
    const release = Promise.withResolvers<void>();
    const { activities, extracted } = createBatchFakes({
      async load(input) {
        await release.promise;
        plan.settle(input.batchId);
        return loadedAs('settled');
      },
    });
    await using worker = await server.startWorker({ ...activities, ...plan });
    const { client, taskQueue } = worker;
    const workflowId = workflowIds.batch(batchId);
    const batch = await client.workflow.start('processBatch', {
      workflowId,
      taskQueue,
      args: [{ batchId }],
    });
    const run = await startSync(worker);
    await until('two plans', async () => plan.plans() >= 2);
    expect((await run.describe()).status.name).toBe('RUNNING');
    expect(extracted).toEqual([batchId]);
    release.resolve();
    // One that ends between a plan and the start may run again: it finds itself settled.
    await Promise.all([run.result(), batch.result()]);
  });

  test('a batch that is stopped or terminated by hand is given up, the others go on', async () => {
    const plan = createPlan(4);
    const [stopped, hung] = plan.ids;
    const hang = Promise.withResolvers<void>();
    const { activities, extracted } = createBatchFakes({
      async load({ batchId }) {
        if (batchId === stopped) return loadedAs('stopped');
        if (batchId === hung) await hang.promise;
        else plan.settle(batchId);
        return loadedAs('settled');
      },
    });
    await using worker = await server.startWorker({ ...activities, ...plan });
    const run = await startSync(worker);
    await until('the batch that hangs', async () => extracted.includes(hung ?? ''));
    await worker.client.workflow.getHandle(workflowIds.batch(hung ?? '')).terminate('by hand');
    await run.result();
    hang.resolve();
    expect([...extracted].sort()).toEqual([...plan.ids].sort());
  });

  test('a destination that stands still holds up no other: its window is full, theirs is not', async () => {
    const [first, second]: readonly [string, string] = [randomUUID(), randomUUID()];
    const hang = Promise.withResolvers<void>();
    const open = new Map<string, Set<string>>([
      [first, new Set(['warehouse', 'archive'])],
      [second, new Set(['warehouse', 'archive'])],
    ]);
    const loaded: string[] = [];
    const { activities } = createBatchFakes({
      async load({ batchId, destination }) {
        if (destination === 'archive') await hang.promise;
        loaded.push(`${destination} ${batchId}`);
        open.get(batchId)?.delete(destination);
        return loadedAs('settled');
      },
      extract: ({ batchId }) =>
        Promise.resolve({ ...extractedBatch, destinations: [...(open.get(batchId) ?? [])] }),
    });
    await using worker = await server.startWorker({
      ...activities,
      startReviews: () => Promise.resolve(),
      // Of each destination its oldest delivery: a window of one.
      planBatches() {
        const oldest = (destination: string) =>
          [...open].find(([, names]) => names.has(destination))?.[0];
        const destinationsOf = (batchId: string) =>
          ['warehouse', 'archive'].filter((name) => oldest(name) === batchId);
        const batches = [first, second].map((batchId) => ({
          ...toRunnable(batchId),
          destinations: destinationsOf(batchId),
        }));
        return Promise.resolve({
          batches: batches.filter(({ destinations }) => destinations.length > 0),
        });
      },
    });
    const run = await startSync(worker);
    await until('the warehouse to have both', async () => loaded.length === 2);
    expect(loaded).toEqual([`warehouse ${first}`, `warehouse ${second}`]);
    hang.resolve();
    await run.result();
    expect(loaded.slice(2)).toEqual([`archive ${first}`, `archive ${second}`]);
  });

  test('a long backlog continues as new between batches; each batch runs once', async () => {
    const plan = createPlan(30);
    const { activities, extracted } = createBatchFakes({
      async load({ batchId }) {
        plan.settle(batchId);
        return loadedAs('settled');
      },
    });
    await using worker = await server.startWorker({ ...activities, ...plan });
    const run = await startSync(worker);
    await run.result();
    expect([...extracted].sort()).toEqual([...plan.ids].sort());
    expect((await run.describe()).runId).not.toBe(run.firstExecutionRunId);
  });
});
