import type { Position, PositionRange } from '../../../core/positions.ts';
import type { LanePlan, PlanLimits } from '../../../core/source.ts';
import { findBound, waitMs, type Followed, type FoundBound } from './bound.ts';
import { cutRanges, nextValue } from './cut.ts';
import { isSafe } from './horizon.ts';
import { formatMemo, parseMemo, type Bound } from './memo.ts';
import { isBehind, parsePoint, type CursorPoint } from './point.ts';
import { lagMsOf } from './settings.ts';

export interface PlanJob extends Followed {
  readonly limits: PlanLimits;
}

/** Plans what lies between a head and the bound below which no row can appear any more. */
export async function planFollowed(job: PlanJob, memo: string, from: Position): Promise<LanePlan> {
  const { shape, limits } = job;
  const { name: cursor, kind } = shape.cursor;
  const following = { cursor, key: shape.key };
  const head = parsePoint(kind, from);
  const known = parseMemo(memo, shape.table.lane, following);
  const { found, ranges } = await cutSafely(job, head, known);
  const { bound } = found;
  // There may be more below this bound: the next plan goes on to it.
  if (ranges.length >= limits.maxRanges) return { ranges, memo: formatMemo(following, bound) };
  const last = ranges.at(-1);
  const lookAgainMs = await lookAgain(job, last ? parsePoint(kind, last.to) : head, found);
  const isAwaited = bound !== undefined && !isSafe(bound);
  return {
    ranges,
    memo: formatMemo(following, isAwaited ? bound : undefined),
    ...(lookAgainMs === undefined ? { isAll: hasAll(job, found) } : { lookAgainMs }),
  };
}

/** An integer says nothing of time: what was there when the bound was noted lies below it. */
function hasAll({ shape, limits }: PlanJob, { bound, clock, noted }: FoundBound): boolean {
  if (shape.cursor.kind !== 'integer' || bound === undefined) return true;
  return noted !== undefined && noted >= askedAt(clock, limits);
}

/** The clock of the database when it was asked for what is there. */
function askedAt(clock: bigint, { askedAgoMs }: PlanLimits): bigint {
  return askedAgoMs === undefined ? clock : clock - BigInt(Math.ceil(askedAgoMs)) * 1000n;
}

interface SafeCut {
  readonly found: FoundBound;
  readonly ranges: readonly PositionRange[];
}

async function cutSafely(job: PlanJob, head: CursorPoint, known?: Bound): Promise<SafeCut> {
  const found = await findBound(job, head, known);
  const ranges = await cutTo(job, head, found.bound);
  const isUsedUp = known && ranges.length === 0 && found.bound && isSafe(found.bound);
  // All up to the known bound was planned before: there may be more by now.
  return isUsedUp ? cutSafely(job, head) : { found, ranges };
}

async function cutTo({ reading, shape, limits }: PlanJob, from: CursorPoint, bound?: Bound) {
  if (!bound || !isSafe(bound) || !isBehind(bound.bound, from)) return [];
  return reading((query) => cutRanges(query, shape, { from, bound: bound.bound }, limits));
}

/** Milliseconds after which rows that are there, behind the bound, may be read. */
async function lookAgain(
  { reading, shape, limits }: PlanJob,
  reached: CursorPoint,
  { bound, horizon, clock }: FoundBound,
): Promise<number | undefined> {
  if (shape.cursor.kind === 'integer') {
    return bound && !isSafe(bound) ? waitMs(horizon) : undefined;
  }
  const next = await reading((query) => nextValue(query, shape, reached));
  // Nothing, or written ahead of the clock, or later than it was asked for.
  if (next === null || next > askedAt(clock, limits)) return undefined;
  const lagMs = lagMsOf(shape.table.settings);
  const rest = lagMs - Number((clock - next) / 1000n);
  return Math.max(rest, isHeld(bound, next) ? waitMs(horizon) : 1);
}

function isHeld(bound: Bound | undefined, next: bigint): boolean {
  return bound === undefined || !isSafe(bound) || next > bound.bound;
}
