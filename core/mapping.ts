import type { FieldPath, FieldType, ObservedType } from './field-types.ts';

export interface TableName {
  readonly schema: string;
  readonly name: string;
}

export interface ColumnMapping {
  readonly path: FieldPath;
  /** Decided once, when the field first appeared; stored, never computed again. */
  readonly column: string;
  readonly type: FieldType;
  /** Who chose the type: a person's choice is never changed by the Automapper. */
  readonly by: 'automapper' | 'person';
}

/**
 * How a stream is written: every event as a row, the newest row of each key, or the rows of the
 * newest full refresh.
 */
export type WriteMode = 'append' | 'merge' | 'replace';

/** One row per key: the one with the highest version, whatever order they come in. */
export interface MergeRule {
  /** Fields that tell rows apart. An event without one of them is parked (`missing-required`). */
  readonly key: readonly FieldPath[];
  /** Field that says which of two rows is newer; between equals, and without it, `_version` does. */
  readonly version?: FieldPath;
}

/** Fields of one stream → columns of one table in one destination. A version is never edited. */
export interface Mapping {
  readonly source: string;
  readonly stream: string;
  readonly destination: string;
  /** 1, 2, 3 … */
  readonly version: number;
  readonly table: TableName;
  readonly columns: readonly ColumnMapping[];
  /** The table has the column `_extra` (json) for fields beyond the width limit. */
  readonly extra: boolean;
  /** Mode `merge`. Fixed when the table is made, as is `replace`; with neither: `append`. */
  readonly merge?: MergeRule;
  /** Mode `replace`: a batch is a whole refresh and takes the place of all rows before. */
  readonly replace?: true;
}

export type WriteRule = Pick<Mapping, 'merge' | 'replace'>;

/** Columns that Millrace adds to every table, in this order, before the mapped ones. */
export const metadataColumns = [
  { column: '_event_id', type: 'text' },
  { column: '_batch_id', type: 'text' },
  { column: '_loaded_at', type: 'timestamptz' },
] as const satisfies readonly { column: string; type: FieldType }[];

/** In `merge` tables these stand behind them. Versions sort by their bytes. */
export const mergeColumns = [
  { column: '_version', type: 'text' },
  { column: '_deleted', type: 'boolean' },
] as const satisfies readonly { column: string; type: FieldType }[];

export const extraColumn = '_extra';

/** Columns of the table that Millrace adds itself, in their order. */
export function metadataOf({ merge }: Mapping): readonly { column: string; type: FieldType }[] {
  return merge ? [...metadataColumns, ...mergeColumns] : metadataColumns;
}

/** Columns of the cells of an encoded row, in their order. */
export function rowColumns({ columns, extra, merge }: Mapping): readonly string[] {
  const metadata = ['_event_id', '_batch_id', ...(merge ? ['_version'] : [])];
  const names = [...metadata, ...columns.map(({ column }) => column)];
  return extra ? [...names, extraColumn] : names;
}

/** Columns of the key, as far as the mapping has them. */
export function keyColumns({ columns, merge }: Mapping): readonly ColumnMapping[] {
  return (merge?.key ?? []).flatMap((path) => columns.filter((column) => column.path === path));
}

/** How often each type was seen at one path. Keys are absent where the count is 0. */
export type TypeCounts = { readonly [type in ObservedType]?: number };

export interface FieldProfile {
  readonly path: FieldPath;
  readonly types: TypeCounts;
}

/** Profile of every readable event of one stream in one batch. Counts and types, never values. */
export interface StreamProfile {
  readonly stream: string;
  readonly events: number;
  /** In order of first appearance. */
  readonly fields: readonly FieldProfile[];
  /** There were more fields than are told apart: names that are data. */
  readonly moreFields?: true;
}

/**
 * How rows are written for one kind of warehouse: cells in the order of the columns, joined by
 * `separator`, ended by `terminator`. Numbers, dates and booleans arrive in canonical text that
 * needs no escaping; `escape` is called for `text` and `json` cells and metadata.
 */
export interface RowEncoding {
  readonly nullCell: string;
  readonly separator: string;
  readonly terminator: string;
  escape(text: string): string;
  /** False where the warehouse cannot store U+0000 or half a surrogate pair in text or json. */
  readonly storesAnyText: boolean;
}

/** How a kind of warehouse names things. Pure; results are stored in the mapping. */
export interface NamingRule {
  /** Folds a name to what the warehouse takes, without regard to collisions. */
  fold(name: string): string;
  /** Longest identifier, in bytes of UTF-8. */
  readonly maxBytes: number;
  /** Folded names that the warehouse keeps for itself. */
  readonly reserved?: ReadonlySet<string>;
  /** Schemas that are not for data. */
  isReservedSchema?(name: string): boolean;
}
