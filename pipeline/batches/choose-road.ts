import type { CopyFormat } from '../../core/destination.ts';
import { shortPath } from '../../core/field-types.ts';
import type { Mapping, StreamProfile } from '../../core/mapping.ts';
import type { RunId } from '../../core/positions.ts';
import type { ImportedSchema } from '../../core/source.ts';

/**
 * How a batch gets into its destination. `staged`: every record is read, profiled and mapped on
 * its own. `typed`: the source writes the rows as the table takes them, and nobody looks at them.
 */
export type Road = 'staged' | 'typed';

/** What is known of a batch before anything of it is read. */
export interface RoadFacts {
  readonly run: RunId;
  /** All of it belongs to this stream; null: that shows when it is read. */
  readonly stream: string | null;
  readonly destinations: number;
  /** An event may come twice: its id is to be looked at. */
  readonly mayResend: boolean;
  /** Events of this range have a record (they failed before, or were discarded): they are told apart. */
  readonly hasRecords: boolean;
  readonly given: readonly CopyFormat[];
  readonly taken: readonly CopyFormat[];
}

export function chooseRoad(facts: RoadFacts): Road {
  const { run, stream, destinations, mayResend, hasRecords } = facts;
  if (run.startsWith('restream/') || stream === null || destinations !== 1) return 'staged';
  if (mayResend || hasRecords) return 'staged';
  return commonFormat(facts) === null ? 'staged' : 'typed';
}

/** The first format of the source that the destination takes. */
export function commonFormat({
  given,
  taken,
}: Pick<RoadFacts, 'given' | 'taken'>): CopyFormat | null {
  return given.find((format) => taken.includes(format)) ?? null;
}

/** A schema as if every field had been seen once, as what it is declared to be. */
export function profileOf({ stream, fields }: ImportedSchema): StreamProfile {
  return {
    stream,
    events: 1,
    fields: fields.map(({ path, type }) => ({ path, types: { [type]: 1 } })),
  };
}

/** Why rows cannot go into the columns of a mapping as their source writes them; null: they can. */
export function misfitOf(
  { columns }: Pick<Mapping, 'columns'>,
  { fields }: Pick<ImportedSchema, 'fields'>,
): string | null {
  const byPath = new Map(columns.map((column) => [column.path, column]));
  for (const { path, type } of fields) {
    const column = byPath.get(path);
    if (column === undefined) return `${shortPath(path)} has no column of its own`;
    if (column.type !== type) return `${shortPath(path)} is ${type}, its column ${column.type}`;
    // As a person's order, strings in it may be read as numbers.
    if (type === 'json' && column.by === 'person') return `${shortPath(path)} is json by order`;
  }
  return null;
}
