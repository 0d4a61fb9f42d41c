import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { FailureKind } from '../../core/failures.ts';
import type { Position, PositionRange } from '../../core/positions.ts';
import { defaultRecordLimits, eventIdOf, recordBytes, recordCount } from '../../core/records.ts';
import type { ObservedLane, PlanLimits, ReplayableSource } from '../../core/source.ts';

/** A real source of the kind that is tested. Records are numbered; they may look like anything. */
export interface SourceFixture extends AsyncDisposable {
  /** Connects to it, as another process would. */
  open(): ReplayableSource;
  /** Adds the records `from`..`to` (exclusive) behind those of a lane; the first add makes it. */
  add(lane: string, from: number, to: number): Promise<void>;
  /** The number in the bytes of a record. */
  numberOf(record: Uint8Array): number;
  /** Takes a lane and its records away. */
  drop(lane: string): Promise<void>;
  /** After this the source as a whole cannot be reached. */
  goAway(): Promise<void>;
}

export interface SourceTraits {
  /** False where a lane is one indivisible document: then it has one range, and never grows. */
  readonly grows: boolean;
  /** True where all that a source has is one lane. */
  readonly oneLane?: boolean;
  /** Bytes of a range that hold a few records; default 300. */
  readonly maxBytes?: number;
  /** Kind of fault when it cannot be reached; default `source-unavailable`. */
  readonly awayKind?: FailureKind;
}

const { signal } = new AbortController();

interface PlannedRange {
  readonly range: PositionRange;
  readonly lane: { readonly name: string; readonly memo: string };
}

/** Plans a lane until it is drained; what is known of it afterwards stands in `head` and `memo`. */
async function drainWithin(
  limits: PlanLimits,
  source: ReplayableSource,
  lane: ObservedLane,
  from: Position = lane.start,
) {
  const planned: PlannedRange[] = [];
  let [head, memo] = [from, lane.memo];
  for (;;) {
    const plan = await source.plan({ ...lane, memo }, head, limits, signal);
    memo = plan.memo;
    if (plan.ranges.length === 0) return { planned, known: { name: lane.name, head, memo } };
    for (const range of plan.ranges) planned.push({ range, lane: { name: lane.name, memo } });
    head = plan.ranges.at(-1)?.to ?? head;
  }
}

interface ReadRecord {
  readonly id: string;
  readonly number: number;
  readonly sha256: string;
}

async function readRange(
  source: ReplayableSource,
  { range, lane }: PlannedRange,
  fixture: SourceFixture,
): Promise<readonly ReadRecord[]> {
  const records: ReadRecord[] = [];
  const context = { signal, limits: defaultRecordLimits, lane };
  for await (const block of source.read(range, context)) {
    for (let at = 0; at < recordCount(block); at += 1) {
      const bytes = recordBytes(block, at);
      const sha256 = createHash('sha256').update(bytes).digest('hex');
      records.push({ id: eventIdOf(block, at), number: fixture.numberOf(bytes), sha256 });
    }
  }
  return records;
}

async function readAll(
  source: ReplayableSource,
  planned: readonly PlannedRange[],
  fixture: SourceFixture,
) {
  const records = [];
  for (const one of planned) records.push(...(await readRange(source, one, fixture)));
  return records;
}

function numbers(from: number, to: number): readonly number[] {
  return Array.from({ length: to - from }, (_, at) => from + at);
}

async function onlyLane(source: ReplayableSource): Promise<ObservedLane> {
  const lanes = await source.lanes([], signal);
  expect(lanes).toHaveLength(1);
  return lanes[0] as ObservedLane;
}

/** What `core/source.ts` promises, for every kind of source. */
export function testSource(
  name: string,
  setUp: () => Promise<SourceFixture>,
  traits: SourceTraits,
): void {
  const { maxBytes = 300, awayKind = 'source-unavailable' } = traits;
  const limits: PlanLimits = { maxBytes, maxRecords: 5, maxRanges: 4 };
  const drain = (source: ReplayableSource, lane: ObservedLane, from?: Position) =>
    drainWithin(limits, source, lane, from);
  // A document has one range, and no second one.
  const ifGrows: typeof test | (() => void) = traits.grows ? test : () => undefined;
  const ifManyLanes: typeof test | (() => void) = traits.oneLane ? () => undefined : test;
  describe(`${name} as a source`, () => {
    test('plans ranges without gaps: the first begins where it was told, each where the one before ended', async () => {
      await using fixture = await setUp();
      await fixture.add('one', 0, 23);
      const source = fixture.open();
      const lane = await onlyLane(source);
      const { planned, known } = await drain(source, lane);
      let from = lane.start;
      for (const { range } of planned) {
        expect(range.from).toBe(from);
        expect(range.to > range.from).toBe(true);
        from = range.to;
      }
      expect(from).toBe(known.head);
    });

    test('reads every record of its ranges once, in order', async () => {
      await using fixture = await setUp();
      await fixture.add('one', 0, 23);
      const source = fixture.open();
      const { planned } = await drain(source, await onlyLane(source));
      const read = await readAll(source, planned, fixture);
      expect(read.map(({ number }) => number)).toEqual(numbers(0, 23));
    });

    ifGrows('keeps within the limits of a range, and of one call', async () => {
      await using fixture = await setUp();
      await fixture.add('one', 0, 60);
      const source = fixture.open();
      const lane = await onlyLane(source);
      const first = await source.plan(lane, lane.start, limits, signal);
      expect(first.ranges).toHaveLength(limits.maxRanges);
      const { planned } = await drain(source, lane);
      for (const one of planned) {
        expect(one.range.bytes).toBeLessThanOrEqual(limits.maxBytes);
        expect((await readRange(source, one, fixture)).length).toBeLessThanOrEqual(
          limits.maxRecords,
        );
      }
    });

    test('takes a record that is larger than a range should be, whole', async () => {
      await using fixture = await setUp();
      await fixture.add('one', 0, 3);
      const source = fixture.open();
      const lane = await onlyLane(source);
      const small = { ...limits, maxBytes: 1 };
      const plan = await source.plan(lane, lane.start, small, signal);
      const planned = plan.ranges.map((range) => ({
        range,
        lane: { name: lane.name, memo: plan.memo },
      }));
      const read = await readAll(source, planned, fixture);
      expect(read.map(({ number }) => number)).toEqual([0, 1, 2]);
    });

    test('gives the same bytes and the same event ids when a range is read again, even twice at once', async () => {
      await using fixture = await setUp();
      await fixture.add('one', 0, 12);
      const source = fixture.open();
      const { planned } = await drain(source, await onlyLane(source));
      const [first, second, elsewhere] = await Promise.all([
        readAll(source, planned, fixture),
        readAll(source, planned, fixture),
        readAll(fixture.open(), planned, fixture),
      ]);
      expect(second).toEqual(first);
      expect(elsewhere).toEqual(first);
    });

    ifManyLanes('gives every record an event id of its own, over all lanes', async () => {
      await using fixture = await setUp();
      await fixture.add('one', 0, 9);
      await fixture.add('two', 0, 9);
      const source = fixture.open();
      const ids = new Set<string>();
      for (const lane of await source.lanes([], signal)) {
        const { planned } = await drain(source, lane);
        for (const { id } of await readAll(source, planned, fixture)) ids.add(id);
      }
      expect(ids.size).toBe(18);
    });

    test('stores nothing: the same position gives the same plan, also to another process', async () => {
      await using fixture = await setUp();
      await fixture.add('one', 0, 12);
      const source = fixture.open();
      const lane = await onlyLane(source);
      const first = await source.plan(lane, lane.start, limits, signal);
      expect(await source.plan(lane, lane.start, limits, signal)).toEqual(first);
      expect((await fixture.open().plan(lane, lane.start, limits, signal)).ranges).toEqual(
        first.ranges,
      );
    });

    test('is drained at its head, and stays so when it is looked at again', async () => {
      await using fixture = await setUp();
      await fixture.add('one', 0, 12);
      const { known } = await drain(fixture.open(), await onlyLane(fixture.open()));
      const later = fixture.open();
      const [lane] = await later.lanes([known], signal);
      expect(lane?.name).toBe(known.name);
      expect((await drain(later, lane as ObservedLane, known.head)).planned).toEqual([]);
    });

    ifGrows('goes on at its head when a lane grew, under positions that sort behind', async () => {
      await using fixture = await setUp();
      await fixture.add('one', 0, 7);
      const source = fixture.open();
      const before = await drain(source, await onlyLane(source));
      await fixture.add('one', 7, 16);
      const [lane] = await source.lanes([before.known], signal);
      const after = await drain(source, lane as ObservedLane, before.known.head);
      expect(after.planned[0]?.range.from).toBe(before.known.head);
      const read = await readAll(source, after.planned, fixture);
      expect(read.map(({ number }) => number)).toEqual(numbers(7, 16));
      const ends = [...before.planned, ...after.planned].map(({ range }) => range.to);
      expect(ends.toSorted()).toEqual(ends);
    });

    test('goes on where it was when its plans are forgotten, and reads their ranges again', async () => {
      await using fixture = await setUp();
      await fixture.add('one', 0, 12);
      const first = fixture.open();
      const { planned, known } = await drain(first, await onlyLane(first));
      const source = fixture.open();
      const lane = await onlyLane(source);
      const note = async (to: Position) =>
        source.noteAt ? source.noteAt(lane, to, known.head) : lane.memo;
      const again = [];
      for (const { range } of planned) {
        again.push({ range, lane: { name: lane.name, memo: await note(range.to) } });
      }
      expect(await readAll(source, again, fixture)).toEqual(await readAll(first, planned, fixture));
      const [onward] = await source.lanes([{ ...known, memo: await note(known.head) }], signal);
      expect(onward?.name).toBe(known.name);
      expect((await drain(source, onward as ObservedLane, known.head)).planned).toEqual([]);
      if (!traits.grows) return;
      await fixture.add('one', 12, 16);
      const [grown] = await source.lanes([{ ...known, memo: await note(known.head) }], signal);
      const after = await drain(source, grown as ObservedLane, known.head);
      const read = await readAll(source, after.planned, fixture);
      expect(read.map(({ number }) => number)).toEqual(numbers(12, 16));
    });

    ifGrows('reads a planned range as it was planned while the lane grows', async () => {
      await using fixture = await setUp();
      await fixture.add('one', 0, 7);
      const source = fixture.open();
      const { planned } = await drain(source, await onlyLane(source));
      await fixture.add('one', 7, 9);
      const read = await readAll(fixture.open(), planned, fixture);
      expect(read.map(({ number }) => number)).toEqual(numbers(0, 7));
    });

    ifManyLanes('finds a lane that appears later, wherever its name sorts', async () => {
      await using fixture = await setUp();
      await fixture.add('m', 0, 3);
      const source = fixture.open();
      const { known } = await drain(source, await onlyLane(source));
      await fixture.add('a', 0, 4);
      const lanes = await source.lanes([known], signal);
      const fresh = lanes.filter((lane) => lane.name !== known.name);
      expect(fresh).toHaveLength(1);
      const { planned } = await drain(source, fresh[0] as ObservedLane);
      expect(await readAll(source, planned, fixture)).toHaveLength(4);
    });

    ifManyLanes('leaves out a lane that is gone', async () => {
      await using fixture = await setUp();
      await fixture.add('one', 0, 3);
      await fixture.add('two', 0, 3);
      const source = fixture.open();
      const known = [];
      for (const lane of await source.lanes([], signal)) {
        known.push((await drain(source, lane)).known);
      }
      await fixture.drop('one');
      expect(await source.lanes(known, signal)).toHaveLength(1);
    });

    test('says that a range is no longer there, instead of giving something else', async () => {
      await using fixture = await setUp();
      await fixture.add('one', 0, 3);
      if (!traits.oneLane) await fixture.add('two', 3, 6);
      const source = fixture.open();
      const [lane] = await source.lanes([], signal);
      const { planned } = await drain(source, lane as ObservedLane);
      await fixture.drop('one');
      await expect(readAll(fixture.open(), planned, fixture)).rejects.toMatchObject({
        kind: 'extract-lost',
      });
    });

    test.each(['', '0', 'x', '-1', '99999999999999999999', '0001', ' ', '\u0000'])(
      'refuses the position %j, which is not its own, and never starts from zero',
      async (position) => {
        await using fixture = await setUp();
        await fixture.add('one', 0, 3);
        const source = fixture.open();
        const lane = await onlyLane(source);
        await expect(source.plan(lane, position, limits, signal)).rejects.toMatchObject({
          kind: 'position-corrupt',
        });
      },
    );

    test('stops reading when it is told to', async () => {
      await using fixture = await setUp();
      await fixture.add('one', 0, 3);
      const source = fixture.open();
      const { planned } = await drain(source, await onlyLane(source));
      const [one] = planned as [PlannedRange];
      const reason = new Error('told to stop');
      const context = { signal: AbortSignal.abort(reason), limits: defaultRecordLimits };
      const reading = Array.fromAsync(source.read(one.range, { ...context, lane: one.lane }));
      await expect(reading).rejects.toBe(reason);
    });

    test('passes its check while it can be reached, and names the fault when it cannot', async () => {
      await using fixture = await setUp();
      await fixture.add('one', 0, 3);
      const source = fixture.open();
      await source.check(signal);
      await fixture.goAway();
      const look = async () => {
        for (const lane of await source.lanes([], signal)) await drain(source, lane);
      };
      for (const asked of [() => source.check(signal), look]) {
        await expect(asked()).rejects.toMatchObject({ kind: awayKind });
      }
    });
  });
}
