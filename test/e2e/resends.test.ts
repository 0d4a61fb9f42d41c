import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startInstance, type TestInstance } from '../support/instance.ts';
import { postWithIds, type EventWithId } from '../support/post-events.ts';
import { until } from '../support/until.ts';

/** Producers that send again what they are not sure of, with the ids they gave. */
const config = `
destinations:
  warehouse: { type: postgres }
  archive: { type: postgres }
sources:
  app: { type: http }
pipelines:
  app: { source: app, destinations: [warehouse, archive] }
`;

let instance: TestInstance;
beforeAll(async () => {
  instance = await startInstance({ config });
}, 120_000);
afterAll(() => instance?.[Symbol.asyncDispose]());

async function post(...events: readonly EventWithId[]): Promise<void> {
  expect(await postWithIds(instance, events)).toBe(202);
}

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

const rows = (destination = 'warehouse') =>
  instance.warehouse<{ id: string; n: number }>(
    'SELECT _event_id AS id, n::int FROM app.app ORDER BY 1, 2',
    [],
    destination,
  );

const failed = () =>
  instance.catalog<{ event_id: string; kind: string; state: string }>(
    `SELECT event_id, kind, state FROM millrace.failed_events
      WHERE destination = 'warehouse' ORDER BY event_id, record_id`,
  );

async function duplicates(): Promise<number> {
  const [counts] = await instance.catalog<{ n: number }>(
    `SELECT sum(rows_duplicate)::int AS n FROM millrace.deliveries WHERE destination = 'warehouse'`,
  );
  return counts?.n ?? 0;
}

async function retry(kind: string): Promise<void> {
  const groups = await instance.catalog<{ group_id: string }>(
    `SELECT group_id FROM millrace.failure_groups WHERE kind = $1 AND open_count > 0`,
    [kind],
  );
  for (const { group_id } of groups) await instance.json(['failed', 'retry', group_id], [0, 5]);
  await settled();
}

describe('events that are sent again', () => {
  test('are one row each in every destination, in one request or in many', async () => {
    await post({ id: 'a', n: 1 }, { id: 'b', n: 2 }, { id: 'a', n: 1 });
    await settled();
    await Promise.all(
      Array.from({ length: 8 }, () =>
        post({ id: 'b', n: 2 }, { id: 'c', n: 3 }, { id: 'a', n: 1 }),
      ),
    );
    await settled();
    const expected = [
      { id: 'a', n: 1 },
      { id: 'b', n: 2 },
      { id: 'c', n: 3 },
    ];
    expect(await rows()).toEqual(expected);
    expect(await rows('archive')).toEqual(expected);
    const [counts] = await instance.catalog(
      `SELECT sum(rows_loaded)::int AS loaded, sum(rows_duplicate)::int AS duplicate
         FROM millrace.deliveries WHERE destination = 'warehouse'`,
    );
    expect(counts).toEqual({ loaded: 3, duplicate: 24 });
    expect(await failed()).toEqual([]);
  });

  test('with other bytes are parked: what came first stays', async () => {
    await post({ id: 'a', n: 100 });
    await settled();
    expect(await failed()).toEqual([{ event_id: 'a', kind: 'id-conflict', state: 'open' }]);
    await post({ id: 'a', n: 1 }); // the first one, once more
    await settled();
    expect(await failed()).toHaveLength(1);
    expect(await rows()).toHaveLength(3);
  });

  test('with the same other bytes once more are duplicates of the parked one', async () => {
    const before = await duplicates();
    await post({ id: 'a', n: 100 }, { id: 'a', n: 100 });
    await settled();
    await post({ id: 'a', n: 100 });
    await settled();
    expect(await failed()).toEqual([{ event_id: 'a', kind: 'id-conflict', state: 'open' }]);
    expect(await duplicates()).toBe(before + 3);
  });

  test('stay parked when they are retried while the first one stands', async () => {
    await retry('id-conflict');
    expect(await failed()).toEqual([{ event_id: 'a', kind: 'id-conflict', state: 'open' }]);
    expect(await rows()).toHaveLength(3);
  });

  test('are one failed event where the first one could not be loaded, and one row once it can', async () => {
    await post({ id: 'x', n: 'much' }, { id: 'y', n: 5 });
    await settled();
    await post({ id: 'x', n: 'much' }, { id: 'x', n: 'much' }, { id: 'x', n: 'more' });
    await settled();
    await post({ id: 'x', n: 'more' });
    await settled();
    expect((await failed()).filter(({ event_id }) => event_id === 'x')).toEqual([
      { event_id: 'x', kind: 'type-mismatch', state: 'open' },
      { event_id: 'x', kind: 'type-mismatch', state: 'open' }, // other bytes, as yet unmapped
    ]);
    for (const destination of ['warehouse', 'archive']) {
      await instance.json([
        'mapping',
        'set',
        'app',
        'app',
        'n',
        '--type',
        'text',
        '--destination',
        destination,
      ]);
    }
    await retry('type-mismatch');
    const found = await instance.warehouse('SELECT n FROM app.app WHERE _event_id = $1', ['x']);
    expect(found).toEqual([{ n: 'much' }]);
    expect((await failed()).filter(({ event_id }) => event_id === 'x')).toEqual([
      { event_id: 'x', kind: 'type-mismatch', state: 'resolved' },
      { event_id: 'x', kind: 'id-conflict', state: 'open' },
    ]);
  });
});
