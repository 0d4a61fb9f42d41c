import type { Position } from '../../../core/positions.ts';
import {
  cursorStart,
  formatCursor,
  notOurs,
  parseCursor,
  type CursorKind,
  type CursorValue,
} from './cursor.ts';

/** Where a range ends: behind the rows up to a cursor value, or within those that have it. */
export interface CursorPoint {
  readonly value: CursorValue;
  /** Only the rows of this value whose key has a hash up to this one; absent: all of them. */
  readonly hash?: string;
}

const withinFloor = /^c:-([0-9a-f]{24})$/;
const withinValue = /^([izt]:[01]\d{19})\+([0-9a-f]{24})$/;

/**
 * A part of the rows of one value stands behind all rows of the value before, and before the end of
 * its own: values are whole numbers, so the text is that of the value before, and more.
 */
export function formatPoint(kind: CursorKind, { value, hash }: CursorPoint): Position {
  if (hash === undefined) return formatCursor(kind, value);
  if (typeof value !== 'bigint') return `${cursorStart}-${hash}`;
  return `${formatCursor(kind, value - 1n)}+${hash}`;
}

/** @throws PipelineError `position-corrupt` for anything else, or a cursor of another type */
export function parsePoint(kind: CursorKind, position: Position): CursorPoint {
  const [, floorHash] = withinFloor.exec(position) ?? [];
  if (floorHash !== undefined) return { value: 'floor', hash: floorHash };
  const [, before, hash] = withinValue.exec(position) ?? [];
  if (before === undefined || hash === undefined) return { value: parseCursor(kind, position) };
  const value = parseCursor(kind, before);
  if (typeof value !== 'bigint') throw notOurs();
  return { value: value + 1n, hash };
}

/** Whether rows of a value may lie behind a point. */
export function isBehind(value: bigint, { value: reached, hash }: CursorPoint): boolean {
  if (typeof reached !== 'bigint') return true;
  return hash === undefined ? value > reached : value >= reached;
}
