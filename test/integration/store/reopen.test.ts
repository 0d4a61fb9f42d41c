import { afterAll, beforeAll, expect, test } from 'vitest';
import { cutRestream } from '../../../pipeline/review/restream-cuts.ts';
import {
  areStillSettled,
  pageSettled,
  type SettledDelivery,
} from '../../../store/catalog/backup-checks.ts';
import {
  closeBackfill,
  planBackfill,
  readBackfill,
  runningBackfills,
} from '../../../store/catalog/backfills.ts';
import { readBatch } from '../../../store/catalog/batches.ts';
import { openCatalog, type Catalog } from '../../../store/catalog/catalog.ts';
import { migrate } from '../../../store/catalog/migrate.ts';
import { reopenDeliveries, type Reopened } from '../../../store/catalog/reopen-deliveries.ts';
import { freezeRestream, readRestream } from '../../../store/catalog/restreams.ts';
import { holdSourceIf, readHold, releaseSource } from '../../../store/catalog/source-holds.ts';
import { startPostgres, type PostgresServer } from '../../support/postgres-server.ts';
import {
  extractedBy,
  failAt,
  planBatch,
  settle,
  wrongGroups,
} from '../../support/store-fixture.ts';
import { until } from '../../support/until.ts';

/** A destination that was restored from an older backup lacks what the catalog calls settled. */
let server: PostgresServer;
let catalog: Catalog;
beforeAll(async () => {
  server = await startPostgres();
  catalog = openCatalog({ url: await server.createDatabase('catalog') });
  await migrate(catalog);
});
afterAll(async () => {
  await catalog[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

async function settleWithFailures(lane: string, ordinals: readonly number[]): Promise<string> {
  const batchId = await planBatch(catalog, lane);
  await extractedBy(catalog, batchId, 'extract');
  const failures = { batchId, destination: 'one', attempt: 'map', ordinals, field: lane };
  await failAt(catalog, failures);
  await settle(catalog, failures);
  return batchId;
}

async function restream(batchId: string, restreamId: string): Promise<readonly string[]> {
  const { rows } = await catalog.query<{ id: string }>(
    'SELECT group_id AS id FROM millrace.failure_records WHERE batch_id = $1 LIMIT 1',
    [batchId],
  );
  await freezeRestream(catalog, {
    restreamId,
    groupId: rows[0]?.id ?? '',
    requestedBy: 'test',
    batchSize: 2,
    cutsOf: cutRestream,
    batchIdOf: ({ n }) => `restream/${restreamId}/${n}`,
  });
  const batches = await catalog.query<{ batchId: string }>(
    `SELECT batch_id AS "batchId" FROM millrace.batches WHERE run = 'restream/' || $1 ORDER BY 1`,
    [restreamId],
  );
  return batches.rows.map((row) => row.batchId);
}

const reopen = (batchIds: readonly string[]): Promise<Reopened> =>
  catalog.transaction((tx) => reopenDeliveries(tx, { destination: 'one', batchIds }));

const statesOf = async (batchId: string) => {
  const { rows } = await catalog.query<{ state: string }>(
    'SELECT state FROM millrace.failure_records WHERE batch_id = $1 ORDER BY ordinal',
    [batchId],
  );
  return rows.map(({ state }) => state);
};

test('a batch takes the road again, and finds its failed events anew', async () => {
  const batchId = await settleWithFailures('again', [1, 4]);
  expect(await reopen([batchId])).toEqual({ deliveries: 1, failedEvents: 0 });
  expect(await reopen([batchId])).toEqual({ deliveries: 0, failedEvents: 0 });
  const { batch, deliveries } = await readBatch(catalog, batchId);
  expect([batch.state, deliveries[0]?.state]).toEqual(['extracted', 'pending']);
  expect(await statesOf(batchId)).toEqual([]);
  expect(await wrongGroups(catalog)).toEqual([]);
  const failures = { batchId, destination: 'one', attempt: 'map 2', ordinals: [1, 4] };
  await failAt(catalog, failures);
  await settle(catalog, failures);
  expect(await statesOf(batchId)).toEqual(['open', 'open']);
  expect(await wrongGroups(catalog)).toEqual([]);
});

test('events that a lost restream had brought in wait for review again', async () => {
  const batchId = await settleWithFailures('restreamed', [0, 3, 5]);
  const batches = await restream(batchId, 'lost');
  for (const id of batches) {
    await extractedBy(catalog, id, 'extract');
    await settle(catalog, { batchId: id, destination: 'one', attempt: 'map', ordinals: [] });
  }
  expect(await statesOf(batchId)).toEqual(['resolved', 'resolved', 'resolved']);
  expect(await reopen(batches)).toEqual({ deliveries: 0, failedEvents: 3 });
  expect(await statesOf(batchId)).toEqual(['open', 'open', 'open']);
  expect(await wrongGroups(catalog)).toEqual([]);
  expect((await readBatch(catalog, batchId)).deliveries[0]?.state).toBe('settled');
});

test('a running restream gives back the events of a batch that loads again', async () => {
  const batchId = await settleWithFailures('claimed', [2, 6]);
  const other = await settleWithFailures('unclaimed', [7]);
  const [first = ''] = await restream(batchId, 'running');
  expect(await reopen([batchId])).toEqual({ deliveries: 1, failedEvents: 0 });
  expect(await readRestream(catalog, 'running')).toMatchObject({ state: 'settled' });
  await expect(readBatch(catalog, first)).rejects.toMatchObject({ kind: 'not-found' });
  expect([await statesOf(batchId), await statesOf(other)]).toEqual([[], ['open']]);
  expect(await wrongGroups(catalog)).toEqual([]);
});

test('a backfill that is over runs again when one of its batches is reopened', async () => {
  const batchId = await settleWithFailures('reread', []);
  await settle(catalog, { batchId, destination: 'two', attempt: 'map', ordinals: [] });
  const again = `backfill/again/${batchId}`;
  await planBackfill(catalog, {
    requestId: 'again',
    source: 'shop',
    stream: null,
    lane: 'reread',
    fromAsked: null,
    toAsked: null,
    concurrency: 1,
    author: 'test',
    destinations: ['one'],
    windows: [{ lane: 'reread' }],
    batchIdOf: () => again,
  });
  await extractedBy(catalog, again, 'extract');
  const failures = { batchId: again, destination: 'one', attempt: 'map', ordinals: [] };
  await settle(catalog, failures);
  await closeBackfill(catalog, 'again');
  const running = async () => (await runningBackfills(catalog)).map(({ requestId }) => requestId);
  expect([(await readBackfill(catalog, 'again')).state, await running()]).toEqual(['settled', []]);
  expect(await reopen([again])).toEqual({ deliveries: 1, failedEvents: 0 });
  expect(await running()).toEqual(['again']);
  await settle(catalog, failures);
  await closeBackfill(catalog, 'again');
  expect(await running()).toEqual([]);
});

test('what was found before a recovery holds nothing after it, and still does while none goes on', async () => {
  const batchId = await settleWithFailures('held', []);
  const [settled] = await settledOf(batchId);
  const hold = { source: 'shop', kind: 'backup-mismatch', message: 'found a moment ago' } as const;
  const check = () =>
    holdSourceIf(catalog, hold, (tx) =>
      areStillSettled(tx, { destination: 'one', settled: settled ? [settled] : [] }),
    );
  await check();
  expect(await readHold(catalog, 'shop')).toMatchObject(hold);

  let checking: Promise<void> | undefined;
  await catalog.transaction(async (tx) => {
    expect(await releaseSource(tx, 'shop')).toBe(true);
    await tx.query(`UPDATE millrace.deliveries SET state = 'pending' WHERE batch_id = $1`, [
      batchId,
    ]);
    checking = check(); // of what it read before; it waits for the recovery
    await until('the check to wait', async () => {
      const { rows } = await catalog.query(
        `SELECT FROM pg_stat_activity WHERE wait_event = 'advisory'
            AND datname = current_database()`,
      );
      return rows.length > 0;
    });
  });
  await checking;
  expect(await readHold(catalog, 'shop')).toBeNull();
});

async function settledOf(batchId: string): Promise<readonly SettledDelivery[]> {
  const page = { destination: 'one', since: new Date(0), limit: 100 };
  return (await pageSettled(catalog, page)).filter((delivery) => delivery.batchId === batchId);
}
