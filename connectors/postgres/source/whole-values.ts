import type { FieldType } from '../../../core/field-types.ts';
import { quoteName } from '../sql-names.ts';
import type { SourceColumn } from './columns.ts';

/** A statement fails with it where a value does not fit: it divides by zero. */
const unfitState = '22012';

export function isUnfit(sqlState: string): boolean {
  return sqlState === unfitState;
}

/**
 * Which values are loaded by the staged road too; all others go to review there. Stricter than
 * that is fine: the batch is staged then. NaN and infinity compare as larger than every number.
 */
const fits: { readonly [type in FieldType]?: (value: string) => string } = {
  date: (value) => `${value} BETWEEN date '0001-01-01' AND date '9999-12-31'`,
  timestamp: (value) =>
    `${value} BETWEEN timestamp '0001-01-01' AND timestamp '9999-12-31 23:59:59.999999'`,
  timestamptz: (value) =>
    `${value} BETWEEN timestamptz '0001-01-01 00:00Z' AND timestamptz '9999-12-31 23:59:59.999999Z'`,
};

/** At most 38 digits; first what most numbers are. */
const fitsNumeric = (value: string) =>
  `((abs(${value}) < 1e19 AND scale(${value}) <= 19)
    OR (abs(${value}) < 1e38 AND length(${value}::text) <= 38))`;

/** The shortest digits of a float are at most 17. */
const fitsFloat = (value: string) =>
  `(abs(${value}::float8) < 1e30 AND (${value} = 0 OR abs(${value}::float8) > 1e-30))`;

/** Why a column cannot be copied as it is, whatever it holds; null: it can. */
export function whyNotWhole(column: SourceColumn): string | null {
  const { name, baseType, typeKind, isArray, isBuiltIn } = column;
  // JSON that is kept as text may hold keys twice, and what jsonb cannot: only a reader sees that.
  const isText = baseType === 'json' || baseType === '_json';
  const isMade = typeKind === 'c' || (isArray && !isBuiltIn);
  return isText || isMade ? `column ${name} (${baseType}) is looked at value by value` : null;
}

interface CellUse {
  readonly type: FieldType;
  /** Rows are merged by it: it may not be null. */
  readonly required: boolean;
}

/** A column as COPY's text format is to have it, so that it becomes what its JSON becomes. */
export function toWholeCell(column: SourceColumn, { type, required }: CellUse): string {
  const value = `t.${quoteName(column.name)}`;
  const condition = fitOf(column, type, value);
  const written = writtenAs(column, type, value);
  const guards = [
    ...(required && !column.notNull ? [`${value} IS NULL`] : []),
    ...(condition === null ? [] : [`(${condition}) IS FALSE`]),
  ];
  if (guards.length === 0) return written;
  // Made of the value, so that it is not computed before there is one.
  const failing = `1 / (length(coalesce(${value}::text, '')) * 0) = 1`;
  return `CASE WHEN ${guards.join(' OR ')} THEN CASE WHEN ${failing} THEN ${written} END ELSE ${written} END`;
}

function fitOf({ baseType }: SourceColumn, type: FieldType, value: string): string | null {
  if (type !== 'decimal') return fits[type]?.(value) ?? null;
  return baseType === 'numeric' ? fitsNumeric(value) : fitsFloat(value);
}

/** JSON null is no value; arrays become JSON. */
function writtenAs({ isArray }: SourceColumn, type: FieldType, value: string): string {
  if (type !== 'json') return value;
  return isArray ? `to_json(${value})::text` : `NULLIF(${value}, 'null'::jsonb)`;
}
