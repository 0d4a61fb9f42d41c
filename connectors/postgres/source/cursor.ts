import { PipelineError } from '../../../core/errors.ts';
import type { Position } from '../../../core/positions.ts';

/** Integers; microseconds since 1970 of a timestamp with or without time zone. */
export type CursorKind = 'integer' | 'timestamptz' | 'timestamp';

const kinds: ReadonlyMap<string, CursorKind> = new Map([
  ['int2', 'integer'],
  ['int4', 'integer'],
  ['int8', 'integer'],
  ['timestamptz', 'timestamptz'],
  ['timestamp', 'timestamp'],
]);

export function cursorKindOf(baseType: string): CursorKind | undefined {
  return kinds.get(baseType);
}

/**
 * What a position says: before everything; behind the rows without a finite cursor value (null,
 * infinities), which come first; or behind all rows up to a value.
 */
export type CursorValue = 'start' | 'floor' | bigint;

const markers: Readonly<Record<CursorKind, string>> = {
  integer: 'i',
  timestamptz: 'z',
  timestamp: 't',
};
const digits = 19;
const negativeBase = 10n ** BigInt(digits);
const form = /^([izt]):([01]\d{19})$/;

/** Sort before all markers. */
export const cursorStart: Position = 'c:';
const cursorFloor: Position = 'c:.';

/** Text that sorts like the values: marker of the type, sign (0 below 1), digits of fixed width. */
export function formatCursor(kind: CursorKind, value: CursorValue): Position {
  if (value === 'start') return cursorStart;
  if (value === 'floor') return cursorFloor;
  const positive = value >= 0n;
  const text = String(positive ? value : negativeBase + value).padStart(digits, '0');
  return `${markers[kind]}:${positive ? '1' : '0'}${text}`;
}

/** @throws PipelineError `position-corrupt` for anything else, or a cursor of another type */
export function parseCursor(kind: CursorKind, position: Position): CursorValue {
  if (position === cursorStart) return 'start';
  if (position === cursorFloor) return 'floor';
  const [, marker, text = ''] = form.exec(position) ?? [];
  if (marker !== markers[kind]) throw notOurs();
  const value = BigInt(text.slice(1));
  return text.startsWith('1') ? value : value - negativeBase;
}

/** What a table is followed by, as a position of it tells; before the first value it does not. */
export function cursorKindAt(position: Position): CursorKind | 'whole' | 'unknown' {
  if (generationForm.test(position)) return 'whole';
  const kindOf = (['integer', 'timestamptz', 'timestamp'] as const).find((kind) =>
    position.startsWith(`${markers[kind]}:`),
  );
  return kindOf ?? 'unknown';
}

const generationDigits = 12;
const generationForm = new RegExp(`^g:\\d{${generationDigits}}$`);

/** A full refresh: how many there were. */
export function formatGeneration(generation: number): Position {
  return `g:${String(generation).padStart(generationDigits, '0')}`;
}

export function parseGeneration(position: Position): number {
  if (!generationForm.test(position)) throw notOurs();
  return Number(position.slice(2));
}

export function notOurs(): PipelineError {
  return new PipelineError(
    'position-corrupt',
    'this is no position in this table as it is followed now (was its cursor changed?): nothing was read; set the cursor back, or follow the table under another source',
  );
}

/** The text of a cursor value as digits; null for null and infinite ones. */
export function digitsOf(kind: CursorKind, column: string): string {
  if (kind === 'integer') return `${column}::bigint::text`;
  const micros = `(extract(epoch FROM ${column}) * 1000000)::bigint::text`;
  return `CASE WHEN isfinite(${column}) THEN ${micros} END`;
}

/** The position of a cursor value, given as `digitsOf` has it: `formatCursor` in SQL. */
export function positionSql(kind: CursorKind, value: string): string {
  const marker = markers[kind];
  const number = `(${value})::numeric`;
  return `CASE WHEN ${value} IS NULL THEN '${cursorFloor}'
            WHEN ${value} LIKE '-%' THEN '${marker}:0' || lpad((${negativeBase} + ${number})::text, ${digits}, '0')
            ELSE '${marker}:1' || lpad(${value}, ${digits}, '0') END`;
}

export function literalOf(kind: CursorKind, value: bigint): string {
  if (kind === 'integer') return `'${value}'::bigint`;
  const time = `(timestamp 'epoch' + interval '${value} microseconds')`;
  return kind === 'timestamp' ? time : `(${time} AT TIME ZONE 'UTC')`;
}

export interface CursorColumn {
  readonly name: string;
  readonly kind: CursorKind;
}
