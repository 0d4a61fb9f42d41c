import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { must } from '../../core/errors.ts';
import { batchIdOf } from '../../pipeline/batches/batch-id.ts';
import {
  allFailpoints,
  quietFailpoints,
  type FailpointMarkers,
} from '../support/failpoint-markers.ts';
import { holdBatch } from '../support/held-batch.ts';
import { startInstance, type TestInstance } from '../support/instance.ts';
import { postWithIds, type EventWithId } from '../support/post-events.ts';
import { connectTemporal } from '../support/temporal-hand.ts';
import { until } from '../support/until.ts';
import { variants } from '../support/variants.ts';

/** Batches of an intake load side by side: which of two events with one id stays is no chance. */
const config = `
destinations: { warehouse: { type: postgres } }
sources: { app: { type: http } }
pipelines: { app: { source: app, destinations: [warehouse] } }
`;

let instance: TestInstance;
let failpoints: FailpointMarkers;

beforeAll(async () => {
  const environment = { MILLRACE_PATIENCE: '0.2', ...allFailpoints('exit') };
  instance = await startInstance({ config, environment });
  failpoints = await quietFailpoints(instance.urls.home);
  await post({ id: 'zero', n: 0 });
  await settled();
}, 120_000);
afterAll(() => instance?.[Symbol.asyncDispose]());

async function post(...events: readonly EventWithId[]): Promise<void> {
  expect(await postWithIds(instance, events)).toBe(202);
}

interface Batch {
  readonly id: string;
  readonly state: string;
}

/** Of the chunk that is received next, where a batch is planned for it alone. */
async function nextBatch(): Promise<string> {
  const [lane] = await instance.catalog<{ head: string }>('SELECT head FROM millrace.lanes');
  const from = must(lane).head;
  const to = String(Number(from) + 1).padStart(from.length, '0');
  return batchIdOf({ run: 'live', source: 'app', lane: 'intake', from, to });
}

async function planned(batchId: string): Promise<void> {
  await until(`${batchId} to be planned`, async () =>
    (await batches()).some(({ id }) => id === batchId),
  );
}

const batches = () =>
  instance.catalog<Batch>(
    `SELECT batch_id AS id, d.state FROM millrace.batches JOIN millrace.deliveries d USING (batch_id)
      WHERE run = 'live' ORDER BY plan_order`,
  );

async function settled(): Promise<void> {
  await until('all that was received to be settled', async () => {
    const [open] = await instance.catalog<{ n: number }>(
      `SELECT (SELECT count(*) FROM millrace.deliveries WHERE state <> 'settled')::int
            + (SELECT coalesce(sum(restreaming_count), 0) FROM millrace.failure_groups)::int
            + (SELECT count(*) FROM millrace.intake_chunks c
                WHERE NOT EXISTS (SELECT FROM millrace.batches b
                       WHERE b.source = c.source AND b.to_position::bigint > c.chunk))::int AS n`,
    );
    return open?.n === 0;
  });
}

const rowsOf = (id: string) =>
  instance.warehouse<{ n: number }>('SELECT n::int FROM app.app WHERE _event_id = $1', [id]);

const parked = async (id: string) =>
  instance.catalog<{ raw: string; state: string }>(
    `SELECT kind, state, convert_from(raw, 'UTF8')::json ->> 'n' AS n
       FROM millrace.failed_events WHERE event_id = $1 ORDER BY record_id`,
    [id],
  );

const conflict = (n: number, state = 'open') => ({ kind: 'id-conflict', state, n: String(n) });

async function retryConflicts(): Promise<void> {
  const groups = await instance.catalog<{ id: string }>(
    'SELECT group_id AS id FROM millrace.failure_groups WHERE open_count > 0',
  );
  for (const { id } of groups) await instance.json(['failed', 'retry', id], [0, 5]);
}

describe('of two events with one id the one that was received first stays', () => {
  test('when its batch is loaded later, is retried around, and the worker dies meanwhile', async () => {
    const first = await nextBatch();
    await using held = await holdBatch(instance, first);
    await post({ id: 'a', n: 1 }, { id: 'same', n: 1 });
    await planned(first);
    await until('the first to stand before its load', () => held.isWaiting());
    await post({ id: 'a', n: 2 }, { id: 'same', n: 1 }, { id: 'b', n: 1 });
    await until('the second to be loaded', async () => (await rowsOf('b')).length === 1);
    expect(await rowsOf('a')).toEqual([]);
    expect(await rowsOf('same')).toEqual([{ n: 1 }]);
    await until('its event to be parked', async () => (await parked('a')).length === 1);
    expect(await parked('a')).toEqual([conflict(2)]);
    await retryConflicts(); // the first one is still to come
    expect(await rowsOf('a')).toEqual([]);
    process.kill(await instance.pidOf('worker'), 'SIGKILL');
    await until('the load to be gone', async () => !(await held.isWaiting()));
    await held.letGo();
    await settled();
    expect(await rowsOf('a')).toEqual([{ n: 1 }]);
    expect(await rowsOf('same')).toEqual([{ n: 1 }]);
    expect(await parked('a')).toEqual([conflict(2)]);
    expect(await parked('same')).toEqual([]);
  });

  test('when its batch is extracted later, because the worker died: the other load waits', async () => {
    const first = await nextBatch();
    await failpoints.arm('extract-staged');
    await post({ id: 'c', n: 1 });
    await until('the worker to die', async () => failpoints.hasFired('extract-staged'));
    const held = await holdManifest(first);
    const second = await nextBatch();
    await post({ id: 'c', n: 2 }, { id: 'd', n: 1 });
    await until('the other load to wait', async () => (await waitsFor(second)).includes(first));
    await held.end();
    await settled();
    expect(await rowsOf('c')).toEqual([{ n: 1 }]);
    expect(await rowsOf('d')).toEqual([{ n: 1 }]);
    expect(await parked('c')).toEqual([conflict(2)]);
  });
});

/** Keeps everybody from saying which events a batch has, until the session ends. */
async function holdManifest(batchId: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: instance.urls.catalogUrl });
  await client.connect();
  await client.query('BEGIN');
  await client.query('SELECT FROM millrace.batches WHERE batch_id = $1 FOR UPDATE', [batchId]);
  return client;
}

/** Why the step of a batch that runs now was not done the last time. */
async function waitsFor(batchId: string): Promise<string> {
  await using hand = await connectTemporal(instance);
  const { raw } = await hand.client.workflow.getHandle(`batch/${batchId}`).describe();
  return raw.pendingActivities?.[0]?.lastFailure?.message ?? '';
}

describe('an event in conflict that is sent again is one failed event', () => {
  const points = ['before-commit', 'commit-unread', 'settle-middle'] as const;
  test.each(variants(points, ['commit-unread']))(
    'when the worker dies at %s, while it is parked and while it comes again',
    async (name) => {
      await post({ id: name, n: 1 });
      await settled();
      for (let times = 0; times < 2; times += 1) {
        await failpoints.arm(name);
        await post({ id: name, n: 2 }, { id: name, n: 3 });
        await until('the worker to die', async () => failpoints.hasFired(name));
        await settled();
      }
      expect(await rowsOf(name)).toEqual([{ n: 1 }]);
      expect(await parked(name)).toEqual([conflict(2), conflict(3)]);
    },
  );
});
