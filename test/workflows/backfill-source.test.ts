import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { BackfillStatus, BackfillTuning } from '../../activities/contract.ts';
import { progressQuery, setConcurrencyUpdate, workflowIds } from '../../workflows/messages.ts';
import { createBatchFakes, loadedAs, toRunnable } from '../support/fake-batches.ts';
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

/** A backfill of so many batches, as the catalog would hold it. */
function createBackfill(count: number) {
  const open = new Set<string>(Array.from({ length: count }, () => randomUUID()));
  const ids = [...open];
  let [paused, concurrency] = [false, 2];
  const tunings: BackfillTuning[] = [];
  const status = async (): Promise<BackfillStatus> => ({
    state: open.size === 0 ? 'settled' : 'running',
    paused,
    concurrency,
    batches: count,
    settled: count - open.size,
    lost: 0,
    waiting: 0,
    stopped: 0,
    rowsLoaded: 10 * (count - open.size),
    rowsDuplicate: 0,
    rowsSuperseded: 0,
    rowsFailed: 0,
    runnable: paused ? [] : [...open].slice(0, concurrency).map(toRunnable),
  });
  return {
    ids,
    tunings,
    settle: (batchId: string) => open.delete(batchId),
    activities: {
      beginBackfill: status,
      backfillStatus: status,
      async tuneBackfill(tuning: BackfillTuning) {
        tunings.push(tuning);
        paused = tuning.paused ?? paused;
        concurrency = tuning.concurrency ?? concurrency;
      },
      startReviews: () => Promise.resolve(),
    },
  };
}

function start({ client, taskQueue }: FakeWorker) {
  const workflowId = workflowIds.backfill('shop', randomUUID());
  return client.workflow.start('backfillSource', { workflowId, taskQueue, args: [] });
}

describe.concurrent('a backfill', () => {
  test('runs every batch once, continues as new on its way, and says what came in', async () => {
    const backfill = createBackfill(30);
    const { activities, extracted } = createBatchFakes({
      async load({ batchId }) {
        backfill.settle(batchId);
        return loadedAs('settled');
      },
    });
    await using worker = await server.startWorker({ ...activities, ...backfill.activities });
    const run = await start(worker);
    expect(await run.result()).toMatchObject({ state: 'settled', settled: 30, rowsLoaded: 300 });
    expect([...extracted].sort()).toEqual([...backfill.ids].sort());
    const { runId, memo } = await run.describe();
    expect(runId).not.toBe(run.firstExecutionRunId);
    expect(memo?.['result']).toMatch(/^\*\*shop\*\* → 30 of 30 batches, 300 rows loaded/);
  });

  test('waits at its end for the workflow of a batch that settled before it', async () => {
    const backfill = createBackfill(2);
    const seen = Promise.withResolvers<void>();
    const reviewed: string[] = [];
    const { activities } = createBatchFakes({
      async load({ batchId }) {
        backfill.settle(batchId);
        if (batchId === backfill.ids[1]) await seen.promise;
        return { ...loadedAs('settled'), rowsFailed: 1 };
      },
    });
    const look = async () => {
      const status = await backfill.activities.backfillStatus();
      if (status.state === 'settled') setTimeout(seen.resolve, 500);
      return status;
    };
    const startReviews = async ({ source }: { source: string }) => void reviewed.push(source);
    const fakes = { ...activities, ...backfill.activities, backfillStatus: look, startReviews };
    await using worker = await server.startWorker(fakes);
    const run = await start(worker);
    await run.result();
    expect((await run.describe()).memo?.['result']).not.toMatch('in flight');
    expect(reviewed).toEqual(['shop']);
  });

  test('stands still while it is paused, and goes on', async () => {
    const backfill = createBackfill(6);
    const release = Promise.withResolvers<void>();
    const { activities, extracted } = createBatchFakes({
      async load({ batchId }) {
        await release.promise;
        backfill.settle(batchId);
        return loadedAs('settled');
      },
    });
    await using worker = await server.startWorker({ ...activities, ...backfill.activities });
    const run = await start(worker);
    await until('two batches', async () => extracted.length === 2);
    await run.signal('pause');
    const at = async () => run.query(progressQuery);
    await until('the pause', async () => (await at()).state === 'paused');
    release.resolve();
    await until('both to end', async () => {
      const { inFlight, settled } = await at();
      return inFlight === 0 && settled === 2;
    });
    expect(extracted).toHaveLength(2);
    await run.signal('resume');
    await run.result();
    expect(extracted).toHaveLength(6);
    expect(backfill.tunings.map(({ paused }) => paused)).toEqual([true, false]);
  });

  test('takes a sound concurrency, refuses any other before it is in its history', async () => {
    const backfill = createBackfill(4);
    const release = Promise.withResolvers<void>();
    const { activities, extracted } = createBatchFakes({
      async load({ batchId }) {
        await release.promise;
        backfill.settle(batchId);
        return loadedAs('settled');
      },
    });
    await using worker = await server.startWorker({ ...activities, ...backfill.activities });
    const run = await start(worker);
    await until('two batches', async () => extracted.length === 2);
    for (const wrong of [0, 17, 1.5, '3', null, {}, { concurrency: 'x' }, [2]]) {
      const asked = run.executeUpdate(setConcurrencyUpdate, { args: [wrong] });
      await expect(asked).rejects.toMatchObject({
        cause: { message: expect.stringMatching(/whole number from 1 to 16/) },
      });
    }
    const args: [unknown] = [{ concurrency: 4 }];
    expect(await run.executeUpdate(setConcurrencyUpdate, { args })).toEqual({ concurrency: 4 });
    await until('four batches', async () => extracted.length === 4);
    release.resolve();
    expect(await run.result()).toMatchObject({ concurrency: 4, settled: 4 });
  });

  test('ends where the rest waits for somebody: maintain starts it again then', async () => {
    const backfill = createBackfill(1);
    const { activities } = createBatchFakes({ load: () => Promise.resolve(loadedAs('stopped')) });
    await using worker = await server.startWorker({ ...activities, ...backfill.activities });
    expect(await (await start(worker)).result()).toMatchObject({ state: 'running', settled: 0 });
  });

  test('an order that cannot be carried out fails the run, with why', async () => {
    const backfill = createBackfill(1);
    await using worker = await server.startWorker({
      ...backfill.activities,
      beginBackfill: async () => ({
        ...(await backfill.activities.backfillStatus()),
        refused: 'there is nothing to read again',
      }),
    });
    await expect((await start(worker)).result()).rejects.toMatchObject({
      cause: { message: 'there is nothing to read again' },
    });
  });
});
