import type { PositionRange } from '../../../core/positions.ts';
import type { PlanLimits } from '../../../core/source.ts';
import { quoteName } from '../sql-names.ts';
import { behindSql, betweenSql, digitsOf, formatCursor, type CursorValue } from './cursor.ts';
import { fromSql, toJson, type CursorShape } from './rows-sql.ts';
import type { Query } from './tables.ts';

/** Rows by which the size of the next ones is guessed. */
const sampledRows = 100;

/**
 * Cuts the rows behind a head, up to a bound, by the values of their cursor. Rows with equal values
 * stay together.
 */
export async function cutRanges(
  query: Query,
  shape: CursorShape,
  { from, bound }: { readonly from: CursorValue; readonly bound: bigint },
  limits: PlanLimits,
): Promise<readonly PositionRange[]> {
  const ranges: PositionRange[] = [];
  let at = from;
  const add = (to: CursorValue, bytes: number) => {
    const { kind } = shape.cursor;
    ranges.push({ from: formatCursor(kind, at), to: formatCursor(kind, to), bytes });
    at = to;
  };
  if (from === 'start' && (await hasFloor(query, shape))) add('floor', 0);
  while (ranges.length < limits.maxRanges) {
    const found = await cutNext(query, shape, { from: at, bound }, limits);
    if (!found) break;
    add(found.to, found.bytes);
  }
  return ranges;
}

async function hasFloor(query: Query, shape: CursorShape): Promise<boolean> {
  const rows = fromSql(shape, betweenSql(shape.cursor, 'start', 'floor'));
  const [row] = await query<{ found: boolean }>(`SELECT EXISTS (SELECT ${rows}) AS found`);
  return row?.found === true;
}

interface Cut {
  readonly to: bigint;
  readonly bytes: number;
}

async function cutNext(
  query: Query,
  shape: CursorShape,
  { from, bound }: { readonly from: CursorValue; readonly bound: bigint },
  { maxBytes, maxRecords }: PlanLimits,
): Promise<Cut | null> {
  const { cursor } = shape;
  const column = `t.${quoteName(cursor.name)}`;
  const rows = fromSql(shape, betweenSql(cursor, from, bound));
  const [sample] = await query<{ bytes: number | null }>(
    `SELECT avg(octet_length(json))::float8 AS bytes
       FROM (SELECT ${toJson(shape)} AS json ${rows} ORDER BY ${column} LIMIT ${sampledRows}) s`,
  );
  const rowBytes = sample?.bytes;
  if (rowBytes === null || rowBytes === undefined) return null;
  const wanted = Math.min(Math.max(Math.floor(maxBytes / rowBytes), 1), maxRecords);
  // One row more than wanted says whether the last value goes on. Two values at most are needed.
  const values = await query<{ digits: string; rows: string }>(
    `SELECT ${digitsOf(cursor.kind, 'value')} AS digits, max(place)::text AS rows
       FROM (SELECT value, row_number() OVER (ORDER BY value) AS place
               FROM (SELECT ${column} AS value ${rows} ORDER BY ${column} LIMIT ${wanted + 1}) v) p
      GROUP BY value ORDER BY value DESC LIMIT 2`,
  );
  const last = values.find((value) => Number(value.rows) <= wanted) ?? values[0];
  if (!last) return null;
  return { to: BigInt(last.digits), bytes: Math.round(Number(last.rows) * rowBytes) };
}

/** The first value behind a bound, which there are rows for. */
export async function nextValue(
  query: Query,
  shape: CursorShape,
  behind: CursorValue,
): Promise<bigint | null> {
  const { cursor } = shape;
  const column = `t.${quoteName(cursor.name)}`;
  const finite = cursor.kind === 'integer' ? '' : ` AND ${column} < 'infinity'`;
  const rows = fromSql(shape, `${behindSql(cursor, behind)}${finite}`);
  const [row] = await query<{ digits: string }>(
    `SELECT ${digitsOf(cursor.kind, column)} AS digits ${rows} ORDER BY ${column} LIMIT 1`,
  );
  return row ? BigInt(row.digits) : null;
}
