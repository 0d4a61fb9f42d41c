import { must } from '../../../core/errors.ts';
import { quoteLiteral, quoteName } from '../sql-names.ts';
import { wrong } from './faults.ts';
import { readHorizon, safeTime, settle, type Horizon } from './horizon.ts';
import type { Bound } from './memo.ts';
import { isBehind, type CursorPoint } from './point.ts';
import { lagMsOf } from './settings.ts';
import { tableSql, type CursorShape } from './rows-sql.ts';
import type { Query, Reading } from './tables.ts';

export interface Followed {
  /** Each statement for itself. */
  readonly query: Query;
  readonly reading: Reading;
  readonly shape: CursorShape;
}

export interface FoundBound {
  /** To be kept, with or without ranges. */
  readonly bound?: Bound;
  readonly horizon: Horizon;
  /** What the clock of the database is as a cursor value. */
  readonly clock: bigint;
  /** When the bound of an integer cursor was noted, where that is known. */
  readonly noted?: bigint | undefined;
}

/**
 * How far the table may be read. A bound that was once found to be safe stays so; one that is
 * waited for is kept until the transactions are over that might still commit rows below it.
 */
export async function findBound(
  { query, reading, shape }: Followed,
  head: CursorPoint,
  known: Bound | undefined,
): Promise<FoundBound> {
  const isNew = known === undefined || !isBehind(known.bound, head);
  const fresh =
    isNew && shape.cursor.kind === 'integer'
      ? await reading((within) => largest(within, shape))
      : null;
  const horizon = await readHorizon(query); // behind the look at the largest value
  const { clock } = horizon;
  if (!isNew) return { bound: settle(known, horizon), horizon, clock, noted: known.since };
  if (shape.cursor.kind === 'integer') {
    if (fresh === null || !isBehind(fresh, head)) return { horizon, clock };
    const bound = settle({ bound: fresh, since: clock }, horizon);
    return { bound, horizon, clock, noted: clock };
  }
  const safe = safeTime(horizon, lagMsOf(shape.table.settings));
  const value = await cursorTime(query, shape, safe);
  const bound = settle({ bound: value, prepared: horizon.end }, horizon);
  return { bound, horizon, clock: clock + (value - safe) };
}

export async function largest(
  query: Query,
  { table, cursor }: CursorShape,
): Promise<bigint | null> {
  const [row] = await query<{ value: string | null }>(
    `SELECT max(${quoteName(cursor.name)})::text AS value FROM ${tableSql(table)}`,
  );
  return row?.value === null || row?.value === undefined ? null : BigInt(row.value);
}

/**
 * In which zone times without one are written.
 * @throws PipelineError `invalid-config` where that has to be guessed
 */
export async function requireZone(query: Query, { table, cursor }: CursorShape): Promise<string> {
  const { zone } = table.settings;
  if (zone !== undefined || cursor.kind !== 'timestamp') return zone ?? 'UTC';
  const [row] = await query<{ zone: string }>(`SELECT current_setting('TimeZone') AS zone`);
  if (/^(Etc\/)?(UTC|UCT|GMT|Universal|Zulu)$/i.test(row?.zone ?? '')) return 'UTC';
  throw wrong(
    table.lane,
    `has the cursor ${cursor.name} without a time zone, and the zone of the database is ${row?.zone}: set zone to the one its times are written in (zone: UTC where the application does)`,
  );
}

async function cursorTime(query: Query, shape: CursorShape, at: bigint): Promise<bigint> {
  if (shape.cursor.kind === 'timestamptz') return at;
  const zone = await requireZone(query, shape);
  return zone === 'UTC' ? at : localTime(query, zone, at);
}

/**
 * A time as writers in a zone see it. Where clocks are set back within the next hours, the earliest
 * time that they will show: rows written then must not lie below the bound.
 */
export async function localTime(query: Query, zone: string, at: bigint): Promise<bigint> {
  const instant = `((timestamp 'epoch' + interval '${at} microseconds') AT TIME ZONE 'UTC')`;
  const [row] = await query<{ value: string }>(
    `SELECT min((extract(epoch FROM time AT TIME ZONE ${quoteLiteral(zone)}) * 1000000)::bigint)::text AS value
       FROM (SELECT ${instant} AS time
              UNION ALL
             SELECT date_bin('15 minutes', ${instant}, timestamptz 'epoch') + n * interval '15 minutes'
               FROM generate_series(1, 12) AS n) times`,
  );
  return BigInt(must(row).value);
}

const shortestLookMs = 250;
const longestLookMs = 15_000;

/** When to look again for a transaction that holds up the bound: the older, the later. */
export function waitMs({ clock, oldest, prepared }: Horizon): number {
  const since = [oldest, prepared].flatMap((time) => (time === null ? [] : [clock - time]));
  const age = since.reduce((a, b) => (a > b ? a : b), 0n);
  return Math.min(Math.max(Number(age / 4000n), shortestLookMs), longestLookMs);
}
