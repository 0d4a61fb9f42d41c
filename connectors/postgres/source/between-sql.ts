import { must } from '../../../core/errors.ts';
import { quoteLiteral, quoteName } from '../sql-names.ts';
import { literalOf } from './cursor.ts';
import type { CursorPoint } from './point.ts';
import { keyHash, type CursorShape } from './rows-sql.ts';

/** Condition for the rows behind `from`, up to and with `to`. */
export function betweenSql(shape: CursorShape, from: CursorPoint, to: CursorPoint): string {
  if (to.value === 'start') return 'false';
  if (to.value === 'floor') return floorSql(shape, from, to);
  const column = columnOf(shape);
  const end = literalOf(shape.cursor.kind, to.value);
  const parts = [behindSql(shape, from), `${column} <= ${end}`];
  if (to.hash !== undefined) {
    parts.push(`(${column} < ${end} OR ${hashOf(shape)} <= ${quoteLiteral(to.hash)})`);
  }
  return parts.join(' AND ');
}

/** Rows with a value behind a point, whatever their bound. */
export function behindSql(shape: CursorShape, { value, hash }: CursorPoint): string {
  const column = columnOf(shape);
  const { kind } = shape.cursor;
  if (typeof value !== 'bigint') {
    return kind === 'integer' ? `${column} IS NOT NULL` : `${column} > '-infinity'`;
  }
  const start = literalOf(kind, value);
  if (hash === undefined) return `${column} > ${start}`;
  return `${column} >= ${start} AND (${column} > ${start} OR ${hashOf(shape)} > ${quoteLiteral(hash)})`;
}

function floorSql(shape: CursorShape, from: CursorPoint, to: CursorPoint): string {
  const column = columnOf(shape);
  const isFloor =
    shape.cursor.kind === 'integer' ? '' : ` OR ${column} IN ('-infinity', 'infinity')`;
  const parts = [`(${column} IS NULL${isFloor})`];
  if (from.hash !== undefined) parts.push(`${hashOf(shape)} > ${quoteLiteral(from.hash)}`);
  if (to.hash !== undefined) parts.push(`${hashOf(shape)} <= ${quoteLiteral(to.hash)}`);
  return parts.join(' AND ');
}

export function columnOf({ cursor }: CursorShape): string {
  return `t.${quoteName(cursor.name)}`;
}

/** By which the rows of one value are told apart and ordered: the same everywhere, for ever. */
export function hashOf(shape: CursorShape): string {
  return `${must(keyHash(shape), 'a key')} COLLATE "C"`;
}
