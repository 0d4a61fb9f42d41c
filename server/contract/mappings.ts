import { z } from 'zod';
import { fieldTypes, type FieldType } from '../../core/field-types.ts';
import type { Mapping } from '../../core/mapping.ts';
import type { MappingVersion } from '../../store/catalog/mappings.ts';

/** GET /v1/mappings */
export const mappingQuery = z.object({
  source: z.string().optional(),
  stream: z.string().optional(),
  destination: z.string().optional(),
});

export interface MappingAnswer {
  /** The newest version. */
  readonly mapping: Mapping;
  /** All versions, newest first. */
  readonly history: readonly MappingVersion[];
}

/** PUT /v1/mappings/fields */
export const setFieldBody = z.strictObject({
  source: z.string(),
  stream: z.string(),
  /** Dotted path in the source. */
  field: z.string().min(1),
  type: z.enum(fieldTypes),
  /** Absent: in every destination of the stream. */
  destination: z.string().optional(),
});

export interface SetFieldAnswer {
  readonly field: string;
  readonly type: FieldType;
  readonly versions: readonly FieldVersion[];
}

export interface FieldVersion {
  readonly destination: string;
  readonly version: number;
  /** False: a person had chosen this type already. */
  readonly changed: boolean;
  /** DDL that was executed. */
  readonly statements: readonly string[];
}
