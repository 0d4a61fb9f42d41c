import type { Position } from '../../../core/positions.ts';
import type { TableShape } from './tables.ts';

/**
 * A table whose numbers began anew is read from its start in a new era: its positions, and so the
 * versions of its rows, sort behind all of the eras before. The first era has no name.
 */
export type Era = '' | `j${string}.`;

const form = /^(j\d{4}\.)?(.*)$/s;

export function splitEra(position: Position): { readonly era: Era; readonly place: Position } {
  const [, era = '', place = ''] = form.exec(position) ?? [];
  return { era: era as Era, place };
}

/** Only numbers have eras. */
export function placeIn({ cursor }: Pick<TableShape, 'cursor'>, position: Position) {
  return cursor?.kind === 'integer' ? splitEra(position) : ({ era: '', place: position } as const);
}

export function eraBehind(era: Era): Era {
  const number = era === '' ? 0 : Number(era.slice(1, 5));
  return `j${String(number + 1).padStart(4, '0')}.`;
}
