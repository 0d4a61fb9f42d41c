import { toFieldPath, type FieldType } from '../../../core/field-types.ts';
import type { ImportedField } from '../../../core/source.ts';
import { quoteName } from '../sql-names.ts';

/** A column of a table as `pg_attribute` has it; domains stand for what they are made of. */
export interface SourceColumn {
  readonly name: string;
  readonly notNull: boolean;
  readonly readable: boolean;
  readonly baseType: string;
  /** `typtype`: b(ase), c(omposite), e(num), r(ange) … */
  readonly typeKind: string;
  readonly isArray: boolean;
  /** The table is filled by transactions which its database does not show: elsewhere, or earlier. */
  readonly isRemote: boolean;
  /** Comes with PostgreSQL itself. */
  readonly isBuiltIn: boolean;
}

const fieldTypes: ReadonlyMap<string, FieldType> = new Map([
  ['bool', 'boolean'],
  ['int2', 'int64'],
  ['int4', 'int64'],
  ['int8', 'int64'],
  ['numeric', 'decimal'],
  ['float4', 'decimal'],
  ['float8', 'decimal'],
  ['date', 'date'],
  ['timestamp', 'timestamp'],
  ['timestamptz', 'timestamptz'],
  ['uuid', 'uuid'],
  ['json', 'json'],
  ['jsonb', 'json'],
]);

/**
 * The type that holds every value without loss. Floats are decimals: their shortest digits name
 * exactly one float. What has no digits (NaN, infinity) or too many goes to review.
 */
export function fieldTypeOf(column: SourceColumn): FieldType {
  const { baseType, typeKind, isArray, isBuiltIn } = column;
  if (isArray || typeKind === 'c') return 'json';
  return (isBuiltIn ? fieldTypes.get(baseType) : undefined) ?? 'text';
}

export function fieldsOf(columns: readonly SourceColumn[]): readonly ImportedField[] {
  return columns.map((column) => ({ path: toFieldPath([column.name]), type: fieldTypeOf(column) }));
}

/** The column as `row_to_json` is to see it. */
export function toJsonCell(column: SourceColumn): string {
  const value = `t.${quoteName(column.name)}`;
  if (column.isBuiltIn && column.baseType === 'timestamptz' && !column.isArray) {
    return `replace(to_json(${value}) #>> '{}', '+00:00', 'Z')`;
  }
  // Types of extensions may have a cast to json, which makes something else of them.
  const isForeign = !column.isBuiltIn && column.typeKind === 'b' && !column.isArray;
  return isForeign ? `CASE WHEN ${value} IS NOT NULL THEN concat(${value}) END` : value;
}
