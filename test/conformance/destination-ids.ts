import { describe, expect, test } from 'vitest';
import type { Destination } from '../../core/destination.ts';
import type { EventFailure } from '../../core/failed-events.ts';
import { loadBatch } from '../../pipeline/batches/load-batch.ts';
import {
  batchOf,
  callbacks,
  idsIn,
  prepared,
  signal,
  orders,
  type DestinationFixture,
  type EventId,
} from './destination-fixture.ts';

/** The part of the suite for destinations that is about events which arrive twice. */
export function testEventIds(name: string, setUp: () => Promise<DestinationFixture>): void {
  describe(`${name} as a destination, remembering event ids`, () => {
    test('loads an id once: the same bytes are a duplicate, others are parked', async () => {
      await using fixture = await setUp();
      await using destination = await prepared(fixture);
      const first = await load(destination, fixture, { n: 1, ids: ['a=1', 'b=1', 'c=1'] });
      expect(first).toMatchObject({ rowsLoaded: 3, rowsDuplicate: 0, conflicts: [] });
      const second = await load(destination, fixture, { n: 2, ids: ['d=1', 'b=1', 'c=2', 'b=1'] });
      expect(second).toMatchObject({ rowsLoaded: 1, rowsDuplicate: 2, conflicts: [2] });
      const third = await load(destination, fixture, { n: 3, ids: ['c=3', 'c=1'] });
      expect(third).toMatchObject({ rowsLoaded: 0, rowsDuplicate: 1, conflicts: [0] });
    });

    test('parks other bytes once: the same ones again are a duplicate', async () => {
      await using fixture = await setUp();
      await using destination = await prepared(fixture);
      await load(destination, fixture, { n: 1, ids: ['a=1'] });
      const first = await load(destination, fixture, { n: 2, ids: ['a=2', 'a=3', 'a=2'] });
      expect(first).toMatchObject({ rowsLoaded: 0, rowsDuplicate: 1, conflicts: [0, 1] });
      const again = await load(destination, fixture, { n: 3, ids: ['a=3', 'a=4', 'a=2', 'a=1'] });
      expect(again).toMatchObject({ rowsLoaded: 0, rowsDuplicate: 3, conflicts: [1] });
    });

    test('parks other bytes again after a load that was left without commit', async () => {
      await using fixture = await setUp();
      await using destination = await prepared(fixture);
      await load(destination, fixture, { n: 1, ids: ['a=1', 'b=1'] });
      const abandoned = load(destination, fixture, { n: 2, ids: ['a=2'], fail: true });
      await expect(abandoned).rejects.toThrow('left');
      const next = await load(destination, fixture, { n: 3, ids: ['a=2'] });
      expect(next).toMatchObject({ rowsDuplicate: 0, conflicts: [0] });
    });

    test('parks other bytes once, however many batches bring them at once', async () => {
      await using fixture = await setUp();
      await using destination = await prepared(fixture);
      const ids = (content: string) => Array.from({ length: 50 }, (_, at) => `${at}=${content}`);
      await load(destination, fixture, { n: 1, ids: ids('first') });
      const loads = Array.from({ length: 6 }, (_, n) =>
        load(destination, fixture, {
          n: n + 2,
          ids: n % 2 === 0 ? ids('other') : ids('other').toReversed(),
        }),
      );
      const rows = await Promise.all(loads);
      expect(rows.reduce((sum, { conflicts }) => sum + conflicts.length, 0)).toBe(50);
      expect(rows.reduce((sum, { rowsDuplicate }) => sum + rowsDuplicate, 0)).toBe(250);
    });

    test('leaves an id to an event that was received before and comes later', async () => {
      await using fixture = await setUp();
      await using destination = await prepared(fixture);
      const late = { n: 2, ids: ['a=2', 'b=1', 'a=1'], preceded: [0] };
      const second = await load(destination, fixture, late);
      // a=1 has the bytes that were received first: whichever batch brings them.
      expect(second).toMatchObject({ rowsLoaded: 2, rowsDuplicate: 0, conflicts: [0] });
      const first = await load(destination, fixture, { n: 1, ids: ['a=1', 'c=1'] });
      expect(first).toMatchObject({ rowsLoaded: 1, rowsDuplicate: 1, conflicts: [] });
      const third = await load(destination, fixture, {
        n: 3,
        ids: ['c=2', 'd=2'],
        preceded: [0, 1],
      });
      expect(third).toMatchObject({ rowsLoaded: 0, conflicts: [0, 1] });
      const fourth = await load(destination, fixture, { n: 4, ids: ['d=1'] });
      expect(fourth).toMatchObject({ rowsLoaded: 1, conflicts: [] });
    });

    test('takes no notice of what precedes an event whose id was taken long before', async () => {
      await using fixture = await setUp();
      await using destination = await prepared(fixture);
      await load(destination, fixture, { n: 1, ids: ['a=1'] });
      const again = await load(destination, fixture, { n: 3, ids: ['a=1'], preceded: [0] });
      expect(again).toMatchObject({ rowsLoaded: 0, rowsDuplicate: 1, conflicts: [] });
    });

    test('knows twins inside a batch by their order', async () => {
      await using fixture = await setUp();
      await using destination = await prepared(fixture);
      const row = await load(destination, fixture, { n: 1, ids: ['a=2', 'a=1', 'a=2', 'b=1'] });
      expect(row).toMatchObject({ rowsLoaded: 2, rowsDuplicate: 1, conflicts: [1] });
    });

    test('takes an id once, however many batches bring it at once', async () => {
      await using fixture = await setUp();
      await using destination = await prepared(fixture);
      const ids = Array.from({ length: 200 }, (_, at) => `event-${at}=same`);
      const loads = Array.from({ length: 6 }, (_, n) =>
        load(destination, fixture, { n, ids: n % 2 === 0 ? ids : ids.toReversed() }),
      );
      const rows = await Promise.all(loads);
      expect(rows.reduce((sum, { rowsLoaded }) => sum + rowsLoaded, 0)).toBe(200);
      expect(rows.reduce((sum, { rowsDuplicate }) => sum + rowsDuplicate, 0)).toBe(1_000);
      expect(await idsIn(fixture)).toHaveLength(200);
    });

    test('gives the ids back of a load that is left without commit', async () => {
      await using fixture = await setUp();
      await using destination = await prepared(fixture);
      const ids = ['a=1'];
      const abandoned = load(destination, fixture, { n: 1, ids, fail: true });
      await expect(abandoned).rejects.toThrow('left');
      expect(await load(destination, fixture, { n: 2, ids })).toMatchObject({ rowsLoaded: 1 });
    });

    test('takes an event that comes again on purpose for itself, and not for another', async () => {
      await using fixture = await setUp();
      await using destination = await prepared(fixture);
      await load(destination, fixture, { n: 1, ids: ['a=1'] });
      const again = await load(destination, fixture, {
        n: 2,
        ids: ['z=1', 'a=1', 'a=2'],
        write: 'append-absent',
      });
      expect(again).toMatchObject({ rowsLoaded: 2, conflicts: [2] });
      const parked = { n: 3, ids: ['a=2', 'a=2'], write: 'append-absent' } as const;
      expect(await load(destination, fixture, parked)).toMatchObject({ conflicts: [0, 1] });
    });

    test('forgets ids that were taken long ago, and only those', async () => {
      await using fixture = await setUp();
      await using destination = await prepared(fixture);
      await load(destination, fixture, { n: 1, ids: ['a=1', 'b=1'] });
      expect(await destination.forgetIds(60_000, signal)).toBe(0);
      expect(await load(destination, fixture, { n: 2, ids: ['a=1'] })).toMatchObject({
        rowsDuplicate: 1,
      });
      expect(await destination.forgetIds(-60_000, signal)).toBe(2);
      expect(await load(destination, fixture, { n: 3, ids: ['a=2'] })).toMatchObject({
        rowsLoaded: 1,
      });
    });
  });
}

interface Load {
  readonly n: number;
  /** `id=content` */
  readonly ids: readonly string[];
  readonly write?: 'append-absent';
  readonly fail?: boolean;
  readonly preceded?: readonly number[];
}

/** Rows get order ids of their own: what comes through is decided by the event ids alone. */
async function load(
  destination: Destination,
  fixture: DestinationFixture,
  { n, ids, write, fail = false, preceded = [] }: Load,
) {
  const list = ids.map((_, at) => ({ id: n * 1_000 + at }));
  const batch = batchOf(fixture.encoding, {
    batchId: `app/intake/${n}`,
    tables: [[orders, list]],
    ids: ids.map((id, at): EventId => [...(id.split('=') as [string, string]), at]),
    ...(write && { write }),
  });
  // Row i is event i of the batch.
  const parts = batch.parts.map((part) => ({
    ...part,
    ordinals: Uint32Array.from(ids, (_, at) => at),
  }));
  const conflicts: number[] = [];
  const onRefused = async (failures: readonly EventFailure[]) => {
    for (const { ordinal, kind } of failures) if (kind === 'id-conflict') conflicts.push(ordinal);
  };
  const onProgress = () => {
    if (fail) throw new Error('left');
  };
  const row = await loadBatch(
    destination,
    { ...batch, parts, preceded },
    { ...callbacks, onRefused, onProgress },
  );
  return { ...row, conflicts };
}
