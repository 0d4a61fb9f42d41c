import type { Position, PositionRange } from '../../../core/positions.ts';
import type { LanePlan, PlanLimits } from '../../../core/source.ts';
import { findBound, largest, waitMs, type Followed, type FoundBound } from './bound.ts';
import { cutRanges, nextValue } from './cut.ts';
import { placeIn } from './era.ts';
import { formatMemo, parseMemo, type Bound, type Noted } from './memo.ts';
import { isBehind, parsePoint, type CursorPoint } from './point.ts';
import { isSafe } from './horizon.ts';
import { explainRestart, findRestart, type NumbersFound } from './restart.ts';
import { lagMsOf } from './settings.ts';

export interface PlanJob extends Followed {
  /** Name of the source. */
  readonly source: string;
  readonly limits: PlanLimits;
}

/** Plans what lies between a head and the bound below which no row can appear any more. */
export async function planFollowed(job: PlanJob, memo: string, from: Position): Promise<LanePlan> {
  const { key, cursor } = job.shape;
  const following = { cursor: cursor.name, key };
  const { era, place } = placeIn(job.shape, from);
  const head = parsePoint(cursor.kind, place);
  const known = parseMemo(memo, job.shape.table.lane, following);
  const { note: numbers, restarted } = await lookAtNumbers(job, { known, head, from });
  if (restarted !== undefined) {
    const stop = explainRestart({ ...job, head: from }, restarted);
    return { ranges: [], memo: formatMemo(following, { numbers }), stop };
  }
  const { bound, ranges, ...more } = await planOn(job, head, known.bound);
  return {
    ranges: ranges.map((range) => ({ ...range, from: era + range.from, to: era + range.to })),
    memo: formatMemo(following, { bound, numbers }),
    ...more,
  };
}

async function lookAtNumbers(
  { query, reading, shape }: PlanJob,
  { known, head, from }: { known: Noted; head: CursorPoint; from: Position },
): Promise<NumbersFound> {
  const { numbers = {} } = known;
  if (shape.cursor.kind !== 'integer') return { note: numbers };
  return findRestart(query, shape, {
    known: numbers,
    head: head.value,
    position: from,
    largest: () => reading((within) => largest(within, shape)),
  });
}

interface PlannedOn {
  readonly ranges: readonly PositionRange[];
  readonly bound: Bound | undefined;
  readonly lookAgainMs?: number;
  readonly isAll?: boolean;
}

async function planOn(job: PlanJob, head: CursorPoint, known?: Bound): Promise<PlannedOn> {
  const { shape, limits } = job;
  const { found, ranges } = await cutSafely(job, head, known);
  const { bound } = found;
  // There may be more below this bound: the next plan goes on to it.
  if (ranges.length >= limits.maxRanges) return { ranges, bound };
  const last = ranges.at(-1);
  const reached = last ? parsePoint(shape.cursor.kind, last.to) : head;
  const lookAgainMs = await lookAgain(job, reached, found);
  const isAwaited = bound !== undefined && !isSafe(bound);
  return {
    ranges,
    bound: isAwaited ? bound : undefined,
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
