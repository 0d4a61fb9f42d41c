import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { must } from '../../../../core/errors.ts';
import { mendLane, type LaneToMend } from '../../../../pipeline/batches/mend-lane.ts';

const at = (n: number) => String(n).padStart(3, '0');
const range = (from: number, to: number) => ({
  batchId: `${from}..${to}`,
  from: at(from),
  to: at(to),
});
const planned = (from: number, to: number, loaded = false) => ({ ...range(from, to), loaded });
const lane = (head: number, parts: Partial<LaneToMend>): LaneToMend => ({
  head: at(head),
  unknown: [],
  planned: [],
  ...parts,
});

describe('a lane whose catalog is older than its ledgers', () => {
  test('goes on behind what is loaded', () => {
    const mend = mendLane(lane(10, { unknown: [range(20, 30), range(10, 20), range(20, 30)] }));
    expect(mend).toEqual({
      withdraw: [],
      adopt: [range(10, 20), range(20, 30)],
      gaps: [],
      head: at(30),
    });
  });

  test('reads again what was planned before and is in no ledger', () => {
    const mend = mendLane(lane(10, { unknown: [range(20, 30), range(40, 50)] }));
    expect(mend?.gaps).toEqual([
      { from: at(10), to: at(20) },
      { from: at(30), to: at(40) },
    ]);
  });

  test('withdraws what it planned otherwise since', () => {
    const plans = [planned(5, 10, true), planned(10, 25), planned(25, 60)];
    const mend = mendLane(lane(60, { unknown: [range(10, 20), range(20, 30)], planned: plans }));
    expect(mend).toMatchObject({ withdraw: ['10..25', '25..60'], gaps: [], head: at(30) });
  });

  test('waits for a person where both are loaded', () => {
    const plans = [planned(10, 25, true)];
    expect(mendLane(lane(25, { unknown: [range(10, 20)], planned: plans }))).toBeNull();
    expect(mendLane(lane(10, { unknown: [range(10, 20), range(15, 30)] }))).toBeNull();
  });

  test('afterwards every place before the head is in exactly one batch', () => {
    const cuts = fc.uniqueArray(fc.integer({ min: 1, max: 90 }), { minLength: 1, maxLength: 12 });
    const law = fc.property(cuts, fc.infiniteStream(fc.boolean()), (places, isLoaded) => {
      const cutAt = [0, ...places.toSorted((a, b) => a - b)];
      const all = cutAt.slice(1).map((end, n) => range(cutAt[n] ?? 0, end));
      const unknown = all.filter(() => isLoaded.next().value);
      if (unknown.length === 0) return;
      const mend = mendLane(lane(0, { unknown }));
      const { adopt, gaps, head } = must(mend);
      const pieces = [...adopt, ...gaps].sort((a, b) => (a.from < b.from ? -1 : 1));
      const ends = pieces.map(({ to }) => to);
      expect(pieces.map(({ from }) => from)).toEqual([at(0), ...ends.slice(0, -1)]);
      expect([ends.at(-1), head]).toEqual([unknown.at(-1)?.to, unknown.at(-1)?.to]);
    });
    fc.assert(law);
  });
});
