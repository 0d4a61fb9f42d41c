import type { Position } from '../../core/positions.ts';

interface Range {
  readonly from: Position;
  readonly to: Position;
}

export interface LoadedRange extends Range {
  readonly batchId: string;
}

export interface PlannedRange extends LoadedRange {
  /** Some ledger has it. */
  readonly loaded: boolean;
}

export interface LaneToMend {
  /** Where the catalog goes on; for a lane that it never saw, where the lane begins. */
  readonly head: Position;
  /** In some ledger, and unknown to the catalog; the same batch may stand in several. */
  readonly unknown: readonly LoadedRange[];
  /** Batches of the catalog that reach beyond the first of them. */
  readonly planned: readonly PlannedRange[];
}

export interface LaneMend {
  /** Plans of an older catalog, not loaded anywhere: the ledgers have it cut otherwise. */
  readonly withdraw: readonly string[];
  /** One for each batch, in order. */
  readonly adopt: readonly LoadedRange[];
  /** What lies between them was planned once, and is in no ledger: it is read again. */
  readonly gaps: readonly Range[];
  readonly head: Position;
}

/**
 * How the plan of a lane gets in step with what is loaded of it. Afterwards every place of the lane
 * before its head is in exactly one batch. Null: what is loaded overlaps, only a person can decide.
 */
export function mendLane({ head, unknown, planned }: LaneToMend): LaneMend | null {
  const adopt = [...new Map(unknown.map((range) => [range.batchId, range])).values()].sort(byFrom);
  const overtaken = planned.filter((plan) => adopt.some((range) => overlaps(plan, range)));
  if (overtaken.some(({ loaded }) => loaded)) return null;
  const kept = planned.filter((plan) => !overtaken.includes(plan));
  let at = [head, ...overtaken.map(({ from }) => from)].reduce(least);
  const gaps: Range[] = [];
  for (const piece of [...kept, ...adopt].sort(byFrom)) {
    if (piece.from > at) gaps.push({ from: at, to: piece.from });
    else if (piece.from < at && adopt.includes(piece)) return null;
    if (piece.to > at) at = piece.to;
  }
  return { withdraw: overtaken.map(({ batchId }) => batchId), adopt, gaps, head: at };
}

/** In the order of a lane. */
export function byFrom(a: Range, b: Range): number {
  return a.from < b.from ? -1 : a.from > b.from ? 1 : 0;
}

function overlaps(a: Range, b: Range): boolean {
  return a.from < b.to && b.from < a.to;
}

function least(a: Position, b: Position): Position {
  return a < b ? a : b;
}
