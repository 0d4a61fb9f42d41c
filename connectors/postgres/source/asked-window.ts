import { PipelineError } from '../../../core/errors.ts';
import type { Position } from '../../../core/positions.ts';
import type { AskedWindow, KnownLane, PositionWindow } from '../../../core/source.ts';
import { cursorKindAt, cursorStart, formatCursor, type CursorKind } from './cursor.ts';
import { splitEra, type Era } from './era.ts';
import { parsePoint } from './point.ts';

/**
 * Which part of a table is asked for: by values of its cursor, both ends included, or by positions.
 * Tables that are read as a whole have no parts; what is asked for says nothing about them.
 * @throws PipelineError `invalid-request`, saying what can be asked for
 */
export function windowOf({ name, head }: KnownLane, asked: AskedWindow): PositionWindow {
  const { era, place } = splitEra(head);
  const start = era === '' ? {} : { from: era + cursorStart }; // what was before is not there any more
  if (asked.from === undefined && asked.to === undefined) return start;
  const kind = cursorKindAt(place);
  if (kind === 'whole') return {};
  if (kind === 'unknown') return { ...start, to: era + cursorStart }; // no value was read yet
  return { ...start, ...endsOf({ lane: name, kind, era }, asked) };
}

function endsOf(at: LaneKind, asked: AskedWindow): PositionWindow {
  const from = asked.from === undefined ? {} : { from: lowerEnd(at, asked.from) };
  const to = asked.to === undefined ? {} : { to: upperEnd(at, asked.to) };
  if (from.from !== undefined && to.to !== undefined && from.from >= to.to) {
    throw refused(at.lane, '--from lies behind --to: nothing is between them');
  }
  return { ...from, ...to };
}

interface LaneKind {
  readonly era: Era;
  readonly lane: string;
  readonly kind: CursorKind;
}

/** Behind all rows before the value. */
function lowerEnd(at: LaneKind, text: string): Position {
  return positionIn(at, text) ?? at.era + formatCursor(at.kind, valueOf(at, '--from', text) - 1n);
}

function upperEnd(at: LaneKind, text: string): Position {
  return positionIn(at, text) ?? at.era + formatCursor(at.kind, valueOf(at, '--to', text));
}

function positionIn({ kind }: LaneKind, text: string): Position | null {
  const { place } = splitEra(text);
  if (!/^[a-z]:/.test(place)) return null;
  parsePoint(kind, place);
  return text;
}

function valueOf({ lane, kind }: LaneKind, flag: string, text: string): bigint {
  if (kind === 'integer') {
    const value = toInteger(text);
    if (value !== null) return value;
    throw refused(lane, `${flag} has to be a whole number: the table is followed by integers`);
  }
  const time = toTime(text);
  if (time === null) {
    throw refused(lane, `${flag} has to be a date or time such as 2026-01-31 or 2026-01-31T08:00Z`);
  }
  if (kind === 'timestamp' && time.hasZone) {
    throw refused(
      lane,
      `${flag} has to be without a time zone, like the times that the table is followed by`,
    );
  }
  return time.micros;
}

const largest = 2n ** 63n - 1n;

function toInteger(text: string): bigint | null {
  if (!/^-?\d{1,19}$/.test(text)) return null;
  const value = BigInt(text);
  return value >= -largest - 1n && value <= largest ? value : null;
}

interface AskedTime {
  readonly micros: bigint;
  readonly hasZone: boolean;
}

const timeForm =
  /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(?::(\d\d)(?:\.(\d{1,6}))?)?(Z|[+-]\d\d(?::?\d\d)?)?)?$/;

/** Times without a zone are in UTC. Null: no time, or a day that is in no calendar. */
function toTime(text: string): AskedTime | null {
  const [, day, time = '00:00', seconds = '00', fraction = '', zone] = timeForm.exec(text) ?? [];
  if (day === undefined) return null;
  const written = `${day}T${time}:${seconds}`;
  const ms = Date.parse(`${written}Z`);
  if (Number.isNaN(ms) || new Date(ms).toISOString().slice(0, 19) !== written) return null;
  const micros = BigInt(ms) * 1000n + BigInt(fraction.padEnd(6, '0'));
  return { micros: micros - offsetMicros(zone), hasZone: zone !== undefined };
}

function offsetMicros(zone = 'Z'): bigint {
  if (zone === 'Z') return 0n;
  const minutes = Number(zone.slice(1, 3)) * 60 + Number(zone.slice(3).replace(':', ''));
  return BigInt(zone.startsWith('-') ? -minutes : minutes) * 60_000_000n;
}

function refused(lane: string, what: string): PipelineError {
  return new PipelineError('invalid-request', `table ${lane}: ${what}`);
}
