import { must } from '../../../core/errors.ts';
import type { PositionRange } from '../../../core/positions.ts';
import type { PlanLimits } from '../../../core/source.ts';
import { behindSql, betweenSql, columnOf, hashOf } from './between-sql.ts';
import { digitsOf, literalOf } from './cursor.ts';
import { formatPoint, type CursorPoint } from './point.ts';
import { fromSql, toJson, type CursorShape } from './rows-sql.ts';
import type { Query } from './tables.ts';

/** Rows by which the size of the next ones is guessed. */
const sampledRows = 100;

/**
 * Cuts the rows behind a head, up to a bound, by the values of their cursor. Rows with equal values
 * stay together, unless they are more than a range may hold: those are cut by the hashes of their
 * keys, which say nothing about the keys and stay what they are.
 */
export async function cutRanges(
  query: Query,
  shape: CursorShape,
  { from, bound }: { readonly from: CursorPoint; readonly bound: bigint },
  limits: PlanLimits,
): Promise<readonly PositionRange[]> {
  const cutter = new Cutter(query, shape, from, limits);
  let found = await cutter.cutFloor();
  while (found && cutter.room > 0) found = await cutter.cutNext(bound);
  return cutter.ranges;
}

interface Values {
  readonly next: bigint | null;
  readonly last: bigint | null;
  /** With values up to the last one. */
  readonly rows: number;
}

class Cutter {
  readonly ranges: PositionRange[] = [];
  readonly #query: Query;
  readonly #shape: CursorShape;
  readonly #limits: PlanLimits;
  #at: CursorPoint;

  constructor(query: Query, shape: CursorShape, from: CursorPoint, limits: PlanLimits) {
    this.#query = query;
    this.#shape = shape;
    this.#limits = limits;
    this.#at = from;
  }

  /** Ranges that there may still be. */
  get room(): number {
    return this.#limits.maxRanges - this.ranges.length;
  }

  /** Rows without a value come first. False: there is no room for all of them. */
  async cutFloor(): Promise<boolean> {
    const { value, hash } = this.#at;
    if (value !== 'start' && (value !== 'floor' || hash === undefined)) return true;
    const floor = { value: 'floor' } as const;
    const rowBytes = await this.#sizeOfRows(floor);
    if (rowBytes !== null) await this.#cutValue(floor, rowBytes);
    else if (hash !== undefined) this.#add(floor, 0); // those that were left have a value by now
    return this.#at.value === 'start' || this.#at.hash === undefined;
  }

  /** Goes on to the next values, or into a large one. False: there are no more rows. */
  async cutNext(bound: bigint): Promise<boolean> {
    const rowBytes = await this.#sizeOfRows({ value: bound });
    if (rowBytes === null) return false;
    const found = await this.#look({ value: bound }, this.#wanted(rowBytes));
    if (found.last !== null) this.#add({ value: found.last }, found.rows * rowBytes);
    else if (found.next !== null) await this.#cutValue({ value: found.next }, rowBytes);
    return found.last !== null || found.next !== null;
  }

  /**
   * The value with which the rows become more than wanted, and the last one before it: with an index
   * by the cursor the first is one walk along it, and only rows that are counted are looked at.
   */
  async #look(bound: CursorPoint, wanted: number): Promise<Values> {
    const { kind } = this.#shape.cursor;
    const column = columnOf(this.#shape);
    const rows = fromSql(this.#shape, betweenSql(this.#shape, this.#at, bound));
    const [beyond] = await this.#query<{ digits: string }>(
      `SELECT ${digitsOf(kind, column)} AS digits ${rows} ORDER BY ${column} OFFSET ${wanted} LIMIT 1`,
    );
    const next = beyond ? BigInt(beyond.digits) : null;
    const before = next === null ? '' : ` AND ${column} < ${literalOf(kind, next)}`;
    const [counted] = await this.#query<{ digits: string | null; rows: string }>(
      `SELECT ${digitsOf(kind, `max(${column})`)} AS digits, count(*)::text AS rows ${rows}${before}`,
    );
    const { digits, rows: count } = must(counted);
    return { next, last: digits === null ? null : BigInt(digits), rows: Number(count) };
  }

  /** Cuts the rows of one value, which are the next ones. */
  async #cutValue(end: CursorPoint, rowBytes: number): Promise<void> {
    const wanted = this.#wanted(rowBytes);
    const rows = fromSql(this.#shape, betweenSql(this.#shape, this.#at, end));
    const pages = await this.#query<{ hash: string; isLast: boolean; rows: string }>(
      `SELECT hash, place = total AS "isLast", (place - lag(place, 1, 0) OVER (ORDER BY place))::text AS rows
         FROM (SELECT hash, row_number() OVER (ORDER BY hash) AS place, count(*) OVER () AS total
                 FROM (SELECT ${hashOf(this.#shape)} AS hash ${rows}) h) p
        WHERE place % ${wanted} = 0 OR place = total
        ORDER BY place LIMIT ${this.room}`,
    );
    for (const { hash, isLast, rows: count } of pages) {
      this.#add(isLast ? end : { ...end, hash }, Number(count) * rowBytes);
    }
  }

  /** Bytes of the rows from here to a point, on average; null: there are none. */
  async #sizeOfRows(to: CursorPoint): Promise<number | null> {
    const rows = fromSql(this.#shape, betweenSql(this.#shape, this.#at, to));
    const [sample] = await this.#query<{ bytes: number | null }>(
      `SELECT avg(octet_length(json))::float8 AS bytes
         FROM (SELECT ${toJson(this.#shape)} AS json ${rows}
                ORDER BY ${columnOf(this.#shape)} LIMIT ${sampledRows}) s`,
    );
    return sample?.bytes ?? null;
  }

  #wanted(rowBytes: number): number {
    const { maxBytes, maxRecords } = this.#limits;
    return Math.min(Math.max(Math.floor(maxBytes / rowBytes), 1), maxRecords);
  }

  #add(to: CursorPoint, bytes: number): void {
    const { kind } = this.#shape.cursor;
    const [from, end] = [formatPoint(kind, this.#at), formatPoint(kind, to)];
    this.#at = to;
    if (from !== end) this.ranges.push({ from, to: end, bytes: Math.round(bytes) });
  }
}

/** The first value behind a point, which there are rows for. */
export async function nextValue(
  query: Query,
  shape: CursorShape,
  behind: CursorPoint,
): Promise<bigint | null> {
  const column = columnOf(shape);
  const { kind } = shape.cursor;
  const finite = kind === 'integer' ? '' : ` AND ${column} < 'infinity'`;
  const rows = fromSql(shape, `${behindSql(shape, behind)}${finite}`);
  const [row] = await query<{ digits: string }>(
    `SELECT ${digitsOf(kind, column)} AS digits ${rows} ORDER BY ${column} LIMIT 1`,
  );
  return row ? BigInt(row.digits) : null;
}
