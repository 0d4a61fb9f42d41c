import { afterAll, beforeAll, expect, test } from 'vitest';
import { cutRestream } from '../../../pipeline/review/restream-cuts.ts';
import { markBatchLost, readBatch } from '../../../store/catalog/batches.ts';
import { openCatalog, type Catalog } from '../../../store/catalog/catalog.ts';
import { pinMappings, renewPins, setDeliveryState } from '../../../store/catalog/deliveries.ts';
import { discardLost } from '../../../store/catalog/discard-lost.ts';
import { insertLane, saveMemo } from '../../../store/catalog/lanes.ts';
import { migrate } from '../../../store/catalog/migrate.ts';
import {
  askForRestream,
  freezeRestream,
  readRestream,
  runningRestreams,
} from '../../../store/catalog/restreams.ts';
import {
  deadAttempts,
  markExtractRemoved,
  removableExtracts,
} from '../../../store/catalog/retention.ts';
import { startPostgres, type PostgresServer } from '../../support/postgres-server.ts';
import {
  extractedBy,
  failAt,
  planBatch,
  planLane,
  settle,
  wrongGroups,
} from '../../support/store-fixture.ts';

let server: PostgresServer;
let catalog: Catalog;

beforeAll(async () => {
  server = await startPostgres();
  const url = await server.createDatabase('catalog');
  catalog = openCatalog({ url, maxConnections: 20 });
  const applied = await Promise.all([migrate(catalog), migrate(catalog), migrate(catalog)]);
  expect(applied.filter((names) => names.length > 0)).toHaveLength(1); // one went first
});
afterAll(async () => {
  await catalog[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

const many = Array.from({ length: 8 }, (_, n) => n);

async function groupOf(batchId: string): Promise<string> {
  const { rows } = await catalog.query<{ id: string }>(
    `SELECT group_id AS id FROM millrace.failure_records
      WHERE batch_id = $1 AND state = 'open' LIMIT 1`,
    [batchId],
  );
  return rows[0]?.id ?? '';
}

function freeze(restreamId: string, groupId: string): Promise<number> {
  return freezeRestream(catalog, {
    restreamId,
    groupId,
    requestedBy: 'test',
    batchSize: 2,
    cutsOf: cutRestream,
    batchIdOf: ({ n }) => `restream/${restreamId}/${n}`,
  });
}

test('a migration that was applied changes nothing when it is applied again', async () => {
  expect(await migrate(catalog)).toEqual([]);
});

test('of many planners of one lane one wins each time: neither gap nor overlap', async () => {
  await insertLane(catalog, { source: 'shop', lane: 'raced', start: '0', memo: '' });
  for (const from of [0, 3, 6]) {
    const plans = await Promise.all(
      many.map(() => planLane(catalog, { lane: 'raced', from, ranges: 3 })),
    );
    expect(plans.filter(Boolean)).toHaveLength(1);
  }
  const { rows } = await catalog.query<{ from: string; to: string; deliveries: number }>(
    `SELECT from_position AS "from", to_position AS "to",
            (SELECT count(*) FROM millrace.deliveries d WHERE d.batch_id = b.batch_id) AS deliveries
       FROM millrace.batches b WHERE lane = 'raced' ORDER BY plan_order`,
  );
  expect(rows).toEqual(
    Array.from({ length: 9 }, (_, n) => ({ from: String(n), to: String(n + 1), deliveries: 2 })),
  );
});

test('a planner that is late writes nothing, not even its note', async () => {
  await insertLane(catalog, { source: 'shop', lane: 'late', start: '0', memo: 'first' });
  await planLane(catalog, { lane: 'late', from: 0, ranges: 2 });
  expect(await planLane(catalog, { lane: 'late', from: 1, ranges: 2 })).toBe(false);
  await saveMemo(catalog, { source: 'shop', lane: 'late', memo: 'old', expectedHead: '0' });
  const { rows } = await catalog.query(`SELECT head, memo FROM millrace.lanes WHERE lane = 'late'`);
  expect(rows).toEqual([{ head: '2', memo: 'after 2' }]);
});

test('of many extracts of one batch the first one stands, and all are told so', async () => {
  const batchId = await planBatch(catalog, 'extracts');
  const answers = await Promise.all(many.map((n) => extractedBy(catalog, batchId, `attempt ${n}`)));
  expect(new Set(answers.map(({ attempt }) => attempt)).size).toBe(1);
  expect((await readBatch(catalog, batchId)).batch).toMatchObject({
    state: 'extracted',
    events: 10,
  });
});

test('a batch that was read is not lost, whether that is said before or after', async () => {
  for (const [lane, order] of [
    ['read first', ['read', 'lost']],
    ['lost first', ['lost', 'read']],
  ] as const) {
    const batchId = await planBatch(catalog, lane);
    const steps = {
      read: () => extractedBy(catalog, batchId, 'attempt'),
      lost: () => markBatchLost(catalog, { batchId, message: 'gone' }),
    };
    for (const step of order) await steps[step]();
    const { batch, deliveries } = await readBatch(catalog, batchId);
    expect(batch.state).toBe('extracted');
    expect(deliveries.map(({ state }) => state)).toEqual(['pending', 'pending']);
  }
});

test('what is lost is discarded once, by many at once, and nothing late takes it back', async () => {
  const batchId = await planBatch(catalog, 'discarded');
  const order = { batchId, author: 'test', why: 'gone' };
  await expect(discardLost(catalog, order)).rejects.toThrow('that to one is pending');
  await markBatchLost(catalog, { batchId, message: 'gone' });
  const answers = await Promise.all(many.map(() => discardLost(catalog, order)));
  expect(answers.flatMap(({ destinations }) => destinations)).toEqual(['one', 'two']);

  await extractedBy(catalog, batchId, 'late');
  await setDeliveryState(catalog, { batchId, destination: 'one', state: 'waiting' });
  const { batch, deliveries } = await readBatch(catalog, batchId);
  expect(batch.state).toBe('lost');
  expect(deliveries.map(({ state }) => state)).toEqual(['discarded', 'discarded']);
});

test('of a batch that stands still in one destination only that delivery is discarded', async () => {
  const batchId = await planBatch(catalog, 'half discarded');
  const order = { batchId, author: 'test', why: 'gone' };
  await extractedBy(catalog, batchId, 'attempt');
  const stop = { batchId, destination: 'two', state: 'stopped', message: 'gone' } as const;
  await setDeliveryState(catalog, { ...stop, kind: 'ledger-conflict' });
  await settle(catalog, { batchId, destination: 'one', attempt: 'winner', ordinals: [] });
  await expect(discardLost(catalog, order)).rejects.toThrow('that to two is stopped');
  await setDeliveryState(catalog, { ...stop, kind: 'extract-lost' });
  expect(await discardLost(catalog, order)).toEqual({
    destinations: ['two'],
    events: 10,
    bytes: 10,
  });
  const { batch, deliveries } = await readBatch(catalog, batchId);
  expect(batch.state).toBe('settled');
  expect(deliveries.map(({ state }) => state)).toEqual(['settled', 'discarded']);
});

test('a delivery has the mapping versions that were pinned first; a renewal replaces what it saw', async () => {
  const at = { batchId: await planBatch(catalog, 'pins'), destination: 'one' };
  const pinned = await Promise.all(
    many.map((orders) => pinMappings(catalog, { ...at, pins: { orders } })),
  );
  expect(new Set(pinned.map(({ orders }) => orders)).size).toBe(1);
  const [replaced = {}] = pinned;
  const renewed = await Promise.all(
    many.map((n) => renewPins(catalog, { ...at, replaced, pins: { orders: 100 + n } })),
  );
  expect(new Set(renewed.map(({ orders }) => orders)).size).toBe(1);
  expect(renewed[0]?.['orders']).toBeGreaterThanOrEqual(100);
});

test('settling, by many at once and again, opens the winners’ records once and withdraws all others', async () => {
  const batchId = await planBatch(catalog, 'settled');
  const at = { batchId, destination: 'one' };
  const winner = { ...at, attempt: 'winner', ordinals: [1, 4, 7] };
  await failAt(catalog, { ...at, attempt: 'loser', ordinals: [1, 2] });
  await failAt(catalog, winner);
  await failAt(catalog, winner); // written again by the same attempt
  const settled = await Promise.all(many.map(() => settle(catalog, winner)));
  expect(settled.filter(({ already }) => !already)).toHaveLength(1);
  await failAt(catalog, { ...at, attempt: 'zombie', ordinals: [9] });
  const { rows } = await catalog.query(
    `SELECT ordinal, state, attempt FROM millrace.failure_records WHERE batch_id = $1 ORDER BY ordinal`,
    [batchId],
  );
  expect(rows).toEqual([1, 4, 7].map((ordinal) => ({ ordinal, state: 'open', attempt: 'winner' })));
  expect(await wrongGroups(catalog)).toEqual([]);
});

test('settling waits while the records are not those that the ledger counted', async () => {
  const batchId = await planBatch(catalog, 'incomplete');
  const failures = { batchId, destination: 'one', attempt: 'a', ordinals: [1, 2] };
  await failAt(catalog, { ...failures, ordinals: [1, 3] });
  await expect(settle(catalog, failures)).rejects.toMatchObject({ kind: 'conflict' });
  const { deliveries } = await readBatch(catalog, batchId);
  expect(deliveries[0]).toMatchObject({ state: 'pending' });
});

test('a batch is settled with its last delivery, also where both settle at once', async () => {
  const batchId = await planBatch(catalog, 'both');
  await extractedBy(catalog, batchId, 'attempt');
  const [one, two] = ['one', 'two'].map((destination) => ({
    batchId,
    destination,
    attempt: 'a',
    ordinals: [],
  }));
  await Promise.all([settle(catalog, one!), settle(catalog, two!)]);
  expect((await readBatch(catalog, batchId)).batch.state).toBe('settled');
});

test('many batches that fail alike settle at once into groups that count them all', async () => {
  const failing = await Promise.all(
    many.map(async (n) => {
      const batchId = await planBatch(catalog, `alike ${n}`);
      const failures = { batchId, destination: 'one', attempt: 'a', ordinals: [0, 1, 2] };
      for (const field of n % 2 ? ['x', 'y'] : ['y', 'x']) {
        const ordinals = field === 'x' ? [0, 1] : [2];
        await failAt(catalog, { ...failures, ordinals, field });
      }
      return failures;
    }),
  );
  await Promise.all(failing.map((failures) => settle(catalog, failures)));
  expect(await wrongGroups(catalog)).toEqual([]);
  const { rows } = await catalog.query(
    `SELECT field, open_count AS open, total_count AS total FROM millrace.failure_groups
      WHERE field IN ('x', 'y') ORDER BY field`,
  );
  expect(rows).toEqual([
    { field: 'x', open: 16, total: 16 },
    { field: 'y', open: 8, total: 8 },
  ]);
});

test('of two restreams of one group one takes the events, and their outcome goes where they came from', async () => {
  const batchId = await planBatch(catalog, 'again');
  const failures = {
    batchId,
    destination: 'one',
    attempt: 'a',
    ordinals: [0, 1, 2],
    field: 'again',
  };
  await failAt(catalog, failures);
  await settle(catalog, failures);
  const groupId = await groupOf(batchId);
  const frozen = await Promise.all([freeze('r1', groupId), freeze('r2', groupId)]);
  expect(frozen.toSorted((a, b) => a - b)).toEqual([0, 3]);
  const restreamId = frozen[0] === 3 ? 'r1' : 'r2';
  expect(await freeze(restreamId, groupId)).toBe(3); // asked again: the same
  expect(await wrongGroups(catalog)).toEqual([]);

  // Batch 0 holds events 0 and 1, of which the second fails again for another reason; batch 1 event 2.
  const again = { destination: 'one', attempt: 'b', field: 'elsewhere' };
  const first = { ...again, batchId: `restream/${restreamId}/0`, ordinals: [1] };
  await failAt(catalog, first);
  await Promise.all([
    settle(catalog, first),
    settle(catalog, { ...again, batchId: `restream/${restreamId}/1`, ordinals: [] }),
  ]);
  expect((await settle(catalog, first)).already).toBe(true);
  const { rows } = await catalog.query(
    `SELECT ordinal, state, attempts, field FROM millrace.failure_records
      WHERE batch_id = $1 OR restream_id = $2 ORDER BY ordinal`,
    [batchId, restreamId],
  );
  expect(rows).toEqual([
    { ordinal: 0, state: 'resolved', attempts: 1, field: 'again' },
    { ordinal: 1, state: 'open', attempts: 2, field: 'elsewhere' },
    { ordinal: 2, state: 'resolved', attempts: 1, field: 'again' },
  ]);
  expect(await readRestream(catalog, restreamId)).toMatchObject({
    state: 'settled',
    resolved: 2,
    open: 1,
  });
  expect(await wrongGroups(catalog)).toEqual([]);
});

test('a retry that was asked for stays until its events are claimed; whatever claims them does it', async () => {
  const batchId = await planBatch(catalog, 'asked');
  const failures = { batchId, destination: 'one', attempt: 'a', ordinals: [0, 1], field: 'asked' };
  await failAt(catalog, failures);
  await settle(catalog, failures);
  const groupId = await groupOf(batchId);
  const ask = (restreamId: string) =>
    askForRestream(catalog, { restreamId, groupId, author: 'test' });
  const toStart = async () =>
    (await runningRestreams(catalog)).filter((row) => row.groupId === groupId);
  const [first, second] = await Promise.all([ask('ask-1'), ask('ask-2')]);
  expect(second).toBe(first); // the second joins the first
  expect(await toStart()).toMatchObject([{ restreamId: first, eventCount: 2 }]);
  expect(await freeze('by-signal', groupId)).toBe(2);
  expect(await toStart()).toMatchObject([{ restreamId: 'by-signal' }]);
  expect(await freeze(first ?? '', groupId)).toBe(0); // started late: nothing is left for it
  expect(await ask('ask-3')).toBeNull();
  expect(await wrongGroups(catalog)).toEqual([]);
});

test('a retry that was asked for claims the events under its own id, once', async () => {
  const batchId = await planBatch(catalog, 'asked once');
  const failures = { batchId, destination: 'one', attempt: 'a', ordinals: [0], field: 'once' };
  await failAt(catalog, failures);
  await settle(catalog, failures);
  const groupId = await groupOf(batchId);
  await askForRestream(catalog, { restreamId: 'once', groupId, author: 'test' });
  expect(await freeze('once', groupId)).toBe(1);
  expect(await freeze('once', groupId)).toBe(1);
  expect(await readRestream(catalog, 'once')).toMatchObject({ state: 'running', eventCount: 1 });
  expect(await wrongGroups(catalog)).toEqual([]);
});

test('only extracts of finished batches may go, and of attempts only those that nobody names', async () => {
  const [open, done] = [await planBatch(catalog, 'kept'), await planBatch(catalog, 'finished')];
  for (const batchId of [open, done]) await extractedBy(catalog, batchId, 'winner');
  for (const destination of ['one', 'two']) {
    await settle(catalog, { batchId: done, destination, attempt: 'a', ordinals: [] });
  }
  const removable = async (settledBefore: Date) =>
    (await removableExtracts(catalog, { settledBefore, limit: 100 })).map(({ batchId }) => batchId);
  const later = new Date(Date.now() + 60_000);
  expect(await removable(new Date(0))).toEqual([]);
  expect(await removable(later)).toContain(done);
  expect(await removable(later)).not.toContain(open);
  const attempts = ['winner', 'loser'];
  expect(await deadAttempts(catalog, { key: `key of ${done}`, attempts })).toEqual(['loser']);
  expect(await deadAttempts(catalog, { key: `key of ${open}`, attempts })).toEqual([]);
  await markExtractRemoved(catalog, { batchId: done, generation: 1 });
  expect(await removable(later)).not.toContain(done);
});
