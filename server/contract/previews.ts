import { z } from 'zod';
import type { FieldType } from '../../core/field-types.ts';

/** POST /v1/sources/:name/preview */
export const previewBody = z.strictObject({
  /** Absent: every stream, up to 20. */
  stream: z.string().min(1).optional(),
  rows: z.int().min(0).max(50).default(5),
});

/** What of one stream would become of it, judged by its first records. Nothing is written. */
export interface PreviewAnswer {
  readonly stream: string;
  readonly lane: string;
  /** Records that were looked at. */
  readonly events: number;
  readonly destinations: readonly PreviewTable[];
}

export interface PreviewTable {
  readonly destination: string;
  readonly table: string;
  /** append, merge, replace */
  readonly write: string;
  readonly columns: readonly PreviewColumn[];
  /** DDL that it would take; null: the destination cannot be asked now. */
  readonly statements: readonly string[] | null;
  /** Why it cannot be asked. */
  readonly unavailable: string | null;
  /** Cells of the first rows, in the order of `columns`. */
  readonly rows: readonly (readonly (string | null)[])[];
  /** Events that would wait for review, by kind and field. */
  readonly failures: readonly {
    readonly kind: string;
    readonly field: string | null;
    readonly events: number;
  }[];
}

export interface PreviewColumn {
  readonly field: string;
  readonly column: string;
  readonly type: FieldType;
  /** The mapping does not have it yet. */
  readonly isNew: boolean;
}
