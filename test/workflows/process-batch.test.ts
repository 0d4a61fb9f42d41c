import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { workflowIds, type BatchOutcome } from '../../workflows/messages.ts';
import { createBatchFakes, extractedBatch, loadedAs } from '../support/fake-batches.ts';
import {
  startTemporalServer,
  type FakeWorker,
  type TemporalServer,
} from '../support/temporal-server.ts';
import { until } from '../support/until.ts';

let server: TemporalServer;

beforeAll(async () => {
  server = await startTemporalServer({ suggestAfterEvents: 4_096 });
}, 60_000);

afterAll(async () => server[Symbol.asyncDispose](), 60_000);

const twoDestinations = {
  outcome: 'extracted',
  events: 11,
  bytes: 1_000,
  streams: ['readings'],
  destinations: ['first', 'second'],
  source: 'plant',
} as const;

async function startBatch({ client, taskQueue }: FakeWorker) {
  const batchId = randomUUID();
  return client.workflow.start<(input: object) => Promise<BatchOutcome>>('processBatch', {
    workflowId: workflowIds.batch(batchId),
    taskQueue,
    args: [{ batchId }],
  });
}

/** Each test has a worker of its own. */
describe.concurrent('the life of a batch', () => {
  test('a batch is extracted once and loaded into each destination', async () => {
    const { activities, extracted } = createBatchFakes({
      extract: () => Promise.resolve(twoDestinations),
    });
    await using worker = await server.startWorker(activities);
    const run = await startBatch(worker);
    expect(await run.result()).toEqual({
      outcome: 'settled',
      rowsLoaded: 20,
      rowsFailed: 2,
      streams: ['readings'],
    });
    expect(extracted).toHaveLength(1);
    const { memo, searchAttributes } = await run.describe();
    expect(memo?.['result']).toBe(
      '**plant** · readings · 11 events → first settled: 10 rows, 1 failed events; second settled: 10 rows, 1 failed events',
    );
    expect(searchAttributes).toMatchObject({
      MillraceSource: ['plant'],
      MillraceStream: ['readings'],
      MillraceDestination: ['first, second'],
      MillraceParked: [2],
    });
  });

  test('a destination that hangs keeps no other one from loading', async () => {
    const hang = Promise.withResolvers<void>();
    const loadedInto: string[] = [];
    const { activities } = createBatchFakes({
      extract: () => Promise.resolve(twoDestinations),
      async syncSchema({ destination }) {
        if (destination === 'first') await hang.promise;
        return { outcome: 'ready', changes: 0 };
      },
      async load({ destination }) {
        loadedInto.push(destination);
        return loadedAs('settled');
      },
    });
    await using worker = await server.startWorker(activities);
    const run = await startBatch(worker);
    await until('the load into the other one', async () => loadedInto.includes('second'));
    expect(loadedInto).toEqual(['second']);
    hang.resolve();
    expect(await run.result()).toMatchObject({ outcome: 'settled', rowsLoaded: 20 });
  });

  test('a delivery that waits for its destination makes the batch end as waiting', async () => {
    const { activities } = createBatchFakes({
      extract: () => Promise.resolve(twoDestinations),
      syncSchema: ({ destination }) =>
        Promise.resolve({ outcome: destination === 'first' ? 'waiting' : 'ready', changes: 0 }),
    });
    await using worker = await server.startWorker(activities);
    expect(await (await startBatch(worker)).result()).toMatchObject({
      outcome: 'waiting',
      rowsLoaded: 10,
    });
  });

  test('a stopped delivery outweighs a waiting one', async () => {
    const { activities } = createBatchFakes({
      extract: () => Promise.resolve(twoDestinations),
      load: ({ destination }) =>
        Promise.resolve(loadedAs(destination === 'first' ? 'waiting' : 'stopped')),
    });
    await using worker = await server.startWorker(activities);
    expect(await (await startBatch(worker)).result()).toMatchObject({ outcome: 'stopped' });
  });

  test('a table that changed under its pin is looked at again, then the load is repeated', async () => {
    const renewals: boolean[] = [];
    const { activities, extracted } = createBatchFakes({
      async syncSchema({ renew }) {
        renewals.push(renew);
        return { outcome: 'ready', changes: 0 };
      },
      load: () => Promise.resolve(loadedAs(renewals.length === 1 ? 'pin-outdated' : 'settled')),
    });
    await using worker = await server.startWorker(activities);
    expect(await (await startBatch(worker)).result()).toMatchObject({ outcome: 'settled' });
    expect(renewals).toEqual([false, true]);
    expect(extracted).toHaveLength(1);
  });

  test('a table that pinning anew does not mend stops the delivery, and says why', async () => {
    const message = 'column n is numeric(6,2)';
    const lastTries: (boolean | undefined)[] = [];
    const { activities } = createBatchFakes({
      syncSchema: ({ renew }) =>
        Promise.resolve({ outcome: 'ready', changes: 0, ...(renew && { renewed: false }) }),
      async load({ lastTry }) {
        lastTries.push(lastTry);
        return { ...loadedAs(lastTry ? 'stopped' : 'pin-outdated'), message };
      },
    });
    await using worker = await server.startWorker(activities);
    const run = await startBatch(worker);
    expect(await run.result()).toMatchObject({ outcome: 'stopped', rowsLoaded: 0 });
    expect(lastTries).toEqual([undefined, undefined, true]);
    expect((await run.describe()).memo?.['result']).toContain(`warehouse stopped: ${message}`);
  });

  test('a refusal of the schema ends the delivery as stopped, and says why', async () => {
    const message = 'the columns cannot change';
    const { activities } = createBatchFakes({
      syncSchema: () => Promise.resolve({ outcome: 'stopped', changes: 0, message }),
    });
    await using worker = await server.startWorker(activities);
    const run = await startBatch(worker);
    expect(await run.result()).toMatchObject({ outcome: 'stopped' });
    expect((await run.describe()).memo?.['result']).toContain(`warehouse stopped: ${message}`);
  });

  test('a batch on the typed road is loaded without being mapped', async () => {
    const loads: unknown[] = [];
    const { activities } = createBatchFakes({
      extract: () => Promise.resolve({ ...extractedBatch, events: 0, road: 'typed' }),
      mapBatch: () => Promise.reject(new Error('nothing is staged')),
      async load({ road, loadManifest }) {
        loads.push({ road, loadManifest });
        return loadedAs('settled');
      },
    });
    await using worker = await server.startWorker(activities);
    const run = await startBatch(worker);
    expect(await run.result()).toMatchObject({ outcome: 'settled', rowsLoaded: 10 });
    expect(loads).toEqual([{ road: 'typed', loadManifest: '' }]);
    expect((await run.describe()).memo?.['result']).toContain('warehouse settled: 10 rows');
  });

  test.each(['schema', 'load'] as const)(
    'a batch that leaves the typed road at its %s is extracted and takes the staged one',
    async (step) => {
      const mapped: string[] = [];
      const { activities, extracted } = createBatchFakes({
        async extract() {
          return extracted.length === 1 ? { ...extractedBatch, road: 'typed' } : extractedBatch;
        },
        async syncSchema() {
          const leaves = step === 'schema' && extracted.length === 1;
          return { outcome: leaves ? 'needs-staging' : 'ready', changes: 0 };
        },
        async mapBatch({ batchId }) {
          mapped.push(batchId);
          return { mapAttempt: 'm-1', loadManifest: 'manifest', rows: 10, failed: 1 };
        },
        load: ({ road }) =>
          Promise.resolve(loadedAs(road === 'typed' ? 'needs-staging' : 'settled')),
      });
      await using worker = await server.startWorker(activities);
      const run = await startBatch(worker);
      expect(await run.result()).toMatchObject({ outcome: 'settled', rowsLoaded: 10 });
      expect(extracted).toHaveLength(2);
      expect(mapped).toHaveLength(1);
    },
  );

  test('a batch whose range is gone ends as lost and says so', async () => {
    const { activities } = createBatchFakes({
      extract: () => Promise.resolve({ ...twoDestinations, outcome: 'lost', destinations: [] }),
    });
    await using worker = await server.startWorker(activities);
    const run = await startBatch(worker);
    expect(await run.result()).toEqual({ outcome: 'lost', rowsLoaded: 0, rowsFailed: 0 });
    expect((await run.describe()).memo?.['result']).toMatch(/lost: the source no longer has/);
  });
});
