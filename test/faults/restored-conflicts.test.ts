import { afterAll, beforeAll, expect, test } from 'vitest';
import type { RecoveryAnswer } from '../../server/contract/recoveries.ts';
import { takeBackup, type Backup } from '../support/backups.ts';
import { startInstance, type TestInstance } from '../support/instance.ts';
import { postEvents } from '../support/post-events.ts';
import { until } from '../support/until.ts';

/** Failed events of a source that may send an event twice, after its catalog was restored. */
const config = `
destinations: { warehouse: { type: postgres } }
sources: { app: { type: http } }
pipelines: { app: { source: app, destinations: [warehouse] } }
`;

let instance: TestInstance;
beforeAll(async () => {
  instance = await startInstance({ config });
  await post({ id: 'a', n: 1 }, { id: 'b', n: 1 });
  await settled();
}, 120_000);
afterAll(() => instance?.[Symbol.asyncDispose]());

interface Event {
  readonly id: string;
  /** Text where a number belongs: its mapping refuses it. */
  readonly n: number | string;
}

async function tryPost(...events: readonly Event[]): Promise<number> {
  const body = events
    .map(({ id, n }) => JSON.stringify({ _metadata: { '@uuid': id }, n }))
    .join('\n');
  const headers = { 'content-type': 'application/x-ndjson' };
  return (await postEvents(instance, { body, headers })).status;
}

const post = async (...events: readonly Event[]) => expect(await tryPost(...events)).toBe(202);

async function settled(): Promise<void> {
  await until('all that was received to be settled', async () => {
    const [open] = await instance.catalog<{ n: number }>(
      `SELECT (SELECT count(*) FROM millrace.deliveries WHERE state NOT IN ('settled', 'lost'))::int
            + (SELECT count(*) FROM millrace.intake_chunks c
                WHERE NOT EXISTS (SELECT FROM millrace.batches b
                       WHERE b.source = c.source AND b.to_position::bigint > c.chunk))::int AS n`,
    );
    return open?.n === 0;
  });
}

const failed = () =>
  instance.catalog<{ id: string; kind: string; raw: string }>(
    `SELECT event_id AS id, kind, convert_from(raw, 'UTF8') AS raw, state
       FROM millrace.failed_events ORDER BY 1, 2, 3`,
  );
const failedOf = async (...ids: readonly string[]) =>
  (await failed()).filter(({ id }) => ids.includes(id)).map(({ id, kind }) => `${id}: ${kind}`);
const rows = () => instance.warehouse('SELECT _event_id, n FROM app.app ORDER BY 1');

async function restored(backup: Backup): Promise<void> {
  await backup.restore();
  await until('recover to find what was forgotten', async () => {
    const { sources } = await instance.json<RecoveryAnswer>(['recover']);
    return (sources[0]?.adopted ?? 0) > 0;
  });
}

test('what failed is found again: events in conflict, and those that failed when they came twice', async () => {
  await post({ id: 'f', n: 'bad' });
  await settled();
  await instance.json(['pause', 'app']);
  const events = [
    { id: 'a', n: 2 }, // other bytes came before
    { id: 'f', n: 'bad' }, // failed before
    { id: 'g', n: 'worse' },
    { id: 'c', n: 3 },
    { id: 'a', n: 2 },
    { id: 'b', n: 'other' }, // both
  ];
  await post(...events);
  const backup = await takeBackup(instance.urls.catalogUrl);
  await instance.json(['resume', 'app']);
  await settled();
  const before = [await failed(), await rows()];
  expect(await failedOf('a', 'b', 'f', 'g')).toEqual([
    'a: id-conflict',
    'b: type-mismatch',
    'f: type-mismatch',
    'g: type-mismatch',
  ]);
  await restored(backup);
  await instance.json(['resume', 'app']);
  await until('the failed events', async () => (await failed()).length === before[0]?.length);
  await settled();
  expect([await failed(), await rows()]).toEqual(before);
  const [counts] = await instance.catalog(
    `SELECT sum(rows_loaded)::int AS loaded, sum(rows_duplicate)::int AS duplicate,
            sum(rows_failed)::int AS failed FROM millrace.deliveries WHERE state = 'settled'`,
  );
  const [ledger] = await instance.warehouse(
    `SELECT sum(rows_loaded)::int AS loaded, sum(rows_duplicate)::int AS duplicate,
            sum(rows_failed)::int AS failed FROM _millrace.ledger`,
  );
  expect(counts).toEqual(ledger);
}, 240_000);

test('a batch of posted events that contradicts the ledger stays stopped: they may be other events', async () => {
  const stop = (state: string, kind: string | null) =>
    instance.catalog(
      `UPDATE millrace.deliveries SET state = $1, stop_kind = $2 WHERE batch_id =
         (SELECT batch_id FROM millrace.batches ORDER BY plan_order DESC LIMIT 1)`,
      [state, kind],
    );
  await stop('stopped', 'ledger-conflict');
  const { sources } = await instance.json<RecoveryAnswer>(['recover']);
  expect(sources).toMatchObject([{ settled: 0, lostFailedEvents: 0 }]);
  await stop('settled', null);
});

test('what failed and is lost with its chunk is no duplicate when it is sent again', async () => {
  const backup = await takeBackup(instance.urls.catalogUrl);
  const first = { id: 'h', n: 1 };
  const other = { id: 'h', n: 2 };
  const bad = { id: 'i', n: 'bad' };
  await until('an answer', async () => (await tryPost(first).catch(() => 0)) === 202);
  await post(other, bad);
  await settled();
  const expected = ['h: id-conflict', 'i: type-mismatch'];
  expect(await failedOf('h', 'i')).toEqual(expected);
  await restored(backup);
  expect(await failedOf('h', 'i')).toEqual([]);
  await until('an answer', async () => (await tryPost(other, bad, first).catch(() => 0)) === 202);
  await until('the failed events', async () => (await failedOf('h', 'i')).length >= 2);
  await post(other, bad, first);
  await settled();
  expect(await failedOf('h', 'i')).toEqual(expected);
  expect(await instance.warehouse(`SELECT n::int FROM app.app WHERE _event_id = 'h'`)).toEqual([
    { n: 1 },
  ]);
}, 240_000);
