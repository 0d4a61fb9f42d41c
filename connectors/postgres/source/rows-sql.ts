import type { TableName } from '../../../core/mapping.ts';
import { quoteName, quoteTable } from '../sql-names.ts';
import { toJsonCell } from './columns.ts';
import { digitsOf, type CursorColumn } from './cursor.ts';
import type { Query, SourceTable, TableShape } from './tables.ts';

export interface CursorShape extends TableShape {
  readonly cursor: CursorColumn;
}

export function isFollowed(shape: TableShape): shape is CursorShape {
  return shape.cursor !== undefined;
}

/**
 * What decides how values look as text, for one transaction: poolers keep no settings of sessions.
 * `row_security = off`: a policy that would hide rows is an error, not a table with fewer rows.
 * Each statement has a snapshot of its own: one from before a rewrite of the table (which a wait for
 * its lock would bring about) sees it empty.
 */
export const beginReading = `BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY;
SET LOCAL standard_conforming_strings = on;
SET LOCAL TimeZone = 'UTC';
SET LOCAL DateStyle = 'ISO';
SET LOCAL IntervalStyle = 'iso_8601';
SET LOCAL extra_float_digits = 1;
SET LOCAL bytea_output = 'hex';
SET LOCAL row_security = off;
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = 0;
SET LOCAL idle_in_transaction_session_timeout = 0`;

/** A row as JSON, written by PostgreSQL itself: every digit as it stands. */
export function toJson({ columns }: TableShape): string {
  const cells = columns.map((column) => `${toJsonCell(column)} AS ${quoteName(column.name)}`);
  // `r.*`: where the table has a column r, `r` alone would be that one.
  return `(SELECT row_to_json(r.*)::text FROM (SELECT ${cells.join(', ')}) AS r)`;
}

/** Tables that inherit from this one and are followed themselves are not read with it. */
export function tableSql(table: SourceTable): string {
  return `${table.isOnly ? 'ONLY ' : ''}${quoteTable(table)}`;
}

export function fromSql({ table }: TableShape, condition: string): string {
  const { where } = table.settings;
  const own = where === undefined ? '' : ` AND (\n${where}\n)`;
  return `FROM ${tableSql(table)} AS t WHERE ${condition}${own}`;
}

/** What a row is known by, as text without values; null where the table has no key. */
export function keyHash({ key }: TableShape): string | null {
  if (key.length === 0) return null;
  const names = key.map((name) => `t.${quoteName(name)}`);
  const text = `json_build_array(${names.join(', ')})::text`;
  return `left(encode(sha256(convert_to(${text}, 'UTF8')), 'hex'), 24)`;
}

/** For each row: hash of its key or null, digits of its cursor value or null, the row. In order. */
export function selectRows(shape: TableShape, condition: string): string {
  const { key, cursor } = shape;
  const names = key.map((name) => `t.${quoteName(name)}`);
  const column = cursor && `t.${quoteName(cursor.name)}`;
  const order = column === undefined ? names : [column, ...names];
  return `SELECT ${keyHash(shape) ?? 'NULL::text'},
       ${cursor && column ? digitsOf(cursor.kind, column) : 'NULL::text'},
       ${toJson(shape)}
  ${fromSql(shape, condition)}${cursor ? ` ORDER BY ${order.join(', ')}` : ''}`;
}

/**
 * Locks a table, with all that it consists of, against changes of its shape. COPY takes its snapshot
 * before it waits for locks, so they have to be there already.
 */
export async function lockShape(query: Query, table: TableName): Promise<void> {
  await query(`SELECT FROM ${quoteTable(table)} LIMIT 0`);
}

/** Finds out whether the rows of a table may be read, all of them, without reading any. */
export async function probe(query: Query, shape: TableShape): Promise<void> {
  await query(`${selectRows(shape, 'true')} LIMIT 0`);
}
