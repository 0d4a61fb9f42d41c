import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { GroupStatus, RestreamStatus } from '../../activities/contract.ts';
import { retrySignal, workflowIds } from '../../workflows/messages.ts';
import { createBatchFakes, loadedAs } from '../support/fake-batches.ts';
import {
  startTemporalServer,
  type FakeWorker,
  type TemporalServer,
} from '../support/temporal-server.ts';
import { until } from '../support/until.ts';

let server: TemporalServer;

beforeAll(async () => {
  server = await startTemporalServer({ suggestAfterEvents: 100 });
}, 60_000);

afterAll(async () => server[Symbol.asyncDispose](), 60_000);

const route = 'plant.readings → warehouse';
const nothingLeft: RestreamStatus = {
  route,
  events: 3,
  runnable: [],
  waiting: 0,
  resolved: 3,
  failedAgain: 0,
};

/** A group whose events every restream brings in, or none. */
function createGroupFakes({ resolves = true } = {}) {
  const group = { open: 3, frozen: 0, looks: 0 };
  return {
    group,
    async countOpen(): Promise<GroupStatus> {
      group.looks += 1;
      return { open: group.open, restreaming: 0, route, details: `${group.open} wait` };
    },
    async freezeRestream(): Promise<RestreamStatus> {
      group.frozen += 1;
      if (resolves) group.open = 0;
      return nothingLeft;
    },
  };
}

async function startReview({ client, taskQueue }: FakeWorker) {
  const groupId = randomUUID();
  return client.workflow.start('reviewFailures', {
    workflowId: workflowIds.review(groupId),
    taskQueue,
    args: [{ groupId }],
  });
}

async function startRestream({ client, taskQueue }: FakeWorker) {
  const restreamId = randomUUID();
  return client.workflow.start('restream', {
    workflowId: workflowIds.restream(restreamId),
    taskQueue,
    args: [{ restreamId, groupId: 'g-1', requestedBy: 'a test' }],
  });
}

/** Each test has a worker of its own. */
describe.concurrent('reviews, restreams and upkeep', () => {
  test('a review waits for the signal, restreams once, and ends as resolved', async () => {
    const { group, ...fakes } = createGroupFakes();
    await using worker = await server.startWorker(fakes);
    const review = await startReview(worker);
    const shown = async () => (await review.describe()).searchAttributes;
    await until(
      'the waiting review',
      async () => (await shown())['MillraceReview']?.[0] === 'waiting',
    );
    expect(await shown()).toMatchObject({ MillraceParked: [3] });
    expect(group.frozen).toBe(0);
    await review.signal(retrySignal);
    await review.result();
    expect(await shown()).toMatchObject({ MillraceReview: ['resolved'], MillraceParked: [0] });
    expect(group.frozen).toBe(1);
  });

  test('signals that come together, or while the restream runs, are one restream', async () => {
    const { group, ...fakes } = createGroupFakes();
    const release = Promise.withResolvers<void>();
    await using worker = await server.startWorker({
      ...fakes,
      async freezeRestream() {
        const answer = await fakes.freezeRestream();
        await release.promise;
        return answer;
      },
    });
    const review = await startReview(worker);
    await Promise.all([review.signal(retrySignal), review.signal(retrySignal)]);
    await until('the restream', async () => group.frozen > 0);
    await review.signal(retrySignal);
    release.resolve();
    await review.result();
    expect(group.frozen).toBe(1);
  });

  test('a signal that names a restream runs that one; what else an operator types is no name', async () => {
    const { group, ...fakes } = createGroupFakes({ resolves: false });
    const ids: string[] = [];
    await using worker = await server.startWorker({
      ...fakes,
      async freezeRestream({ restreamId }: { restreamId: string }) {
        ids.push(restreamId);
        return fakes.freezeRestream();
      },
    });
    const review = await startReview(worker);
    const restreamId = randomUUID();
    for (const [n, asked] of [{ restreamId }, { restreamId: 7 }, 'now', null].entries()) {
      await review.signal(retrySignal, asked);
      await until(`the end of restream ${n}`, async () => {
        const { searchAttributes } = await review.describe();
        return group.frozen > n && searchAttributes['MillraceReview']?.[0] === 'waiting';
      });
    }
    expect(ids[0]).toBe(restreamId);
    expect(new Set(ids).size).toBe(4);
    group.open = 0;
    await review.signal(retrySignal);
    await review.result();
  });

  test('a review whose group is empty ends at once; a signal cannot hurt it', async () => {
    const { group, ...fakes } = createGroupFakes();
    group.open = 0;
    await using worker = await server.startWorker(fakes);
    await (await startReview(worker)).result();
    expect(group.frozen).toBe(0);
  });

  test('a review goes on waiting when its restream is terminated by hand', async () => {
    const { group, ...fakes } = createGroupFakes({ resolves: false });
    const hang = Promise.withResolvers<RestreamStatus>();
    await using worker = await server.startWorker({
      ...fakes,
      async freezeRestream() {
        await fakes.freezeRestream();
        return hang.promise;
      },
    });
    const review = await startReview(worker);
    await review.signal(retrySignal);
    await until('the restream', async () => group.frozen === 1);
    const { raw } = await review.describe();
    const child = raw.pendingChildren?.[0]?.workflowId ?? '';
    await worker.client.workflow.getHandle(child).terminate('by hand');
    await until('the review to wait again', async () => {
      const { searchAttributes } = await review.describe();
      return group.looks > 1 && searchAttributes['MillraceReview']?.[0] === 'waiting';
    });
    hang.resolve(nothingLeft);
    await review.terminate();
  });

  test('a review that was retried often continues as new and loses no request', async () => {
    const { group, ...fakes } = createGroupFakes({ resolves: false });
    await using worker = await server.startWorker(fakes);
    const review = await startReview(worker);
    for (let n = 1; n <= 8; n += 1) {
      await review.signal(retrySignal);
      await until(`the end of restream ${n}`, async () => {
        const { searchAttributes } = await review.describe();
        return group.frozen === n && searchAttributes['MillraceReview']?.[0] === 'waiting';
      });
    }
    group.open = 0;
    await review.signal(retrySignal);
    await review.result();
    const { searchAttributes, runId } = await review.describe();
    expect(runId).not.toBe(review.firstExecutionRunId);
    expect(searchAttributes).toMatchObject({ MillraceReview: ['resolved'] });
  });

  test('a restream runs its batches, waits for no absent destination, and says how it ended', async () => {
    const settled = new Set<string>();
    const ids = Array.from({ length: 6 }, () => randomUUID());
    const status = (): RestreamStatus => ({
      route,
      events: 60,
      runnable: ids.filter((id) => !settled.has(id)),
      waiting: 2,
      resolved: settled.size * 10,
      failedAgain: settled.size,
    });
    const { activities, extracted } = createBatchFakes({
      load: ({ batchId }) => {
        settled.add(batchId);
        return Promise.resolve(loadedAs('settled'));
      },
    });
    await using worker = await server.startWorker({
      ...activities,
      freezeRestream: () => Promise.resolve(status()),
      restreamStatus: () => Promise.resolve(status()),
    });
    const run = await startRestream(worker);
    await run.result();
    expect([...extracted].sort()).toEqual([...ids].sort());
    expect((await run.describe()).memo?.['result']).toBe(
      `**${route}** · 60 events → 60 rows loaded, 6 failed events again, 2 batches wait for their destination`,
    );
  });

  test('a restream whose batches make no progress gives up after five rounds; maintain tries again', async () => {
    const status = { ...nothingLeft, runnable: [randomUUID()], resolved: 0 };
    const { activities, extracted } = createBatchFakes({
      syncSchema: () => Promise.resolve({ outcome: 'waiting', changes: 0 }),
    });
    await using worker = await server.startWorker({
      ...activities,
      freezeRestream: () => Promise.resolve(status),
      restreamStatus: () => Promise.resolve(status),
    });
    await (await startRestream(worker)).result();
    expect(extracted).toHaveLength(5);
  });

  test('maintain probes, starts and sweeps, in this order, and says what it did', async () => {
    const steps: string[] = [];
    const step = async <T>(name: string, answer: T): Promise<T> => {
      steps.push(name);
      return answer;
    };
    await using worker = await server.startWorker({
      probeDestinations: () => step('probe', { reopened: 2 }),
      reconcile: () => step('reconcile', { started: 3 }),
      sweep: () => step('sweep', { removedFiles: 4 }),
    });
    const { client, taskQueue } = worker;
    const workflowId = `maintain-${randomUUID()}`;
    const result = await client.workflow.execute('maintain', { workflowId, taskQueue });
    expect(result).toEqual({ started: 3, reopened: 2, removedFiles: 4 });
    expect(steps).toEqual(['probe', 'reconcile', 'sweep']);
  });
});
