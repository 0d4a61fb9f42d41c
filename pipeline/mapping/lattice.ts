import type { FieldType, ObservedType } from '../../core/field-types.ts';
import type { TypeCounts } from '../../core/mapping.ts';

type Family = 'boolean' | 'number' | 'time' | 'zoned' | 'uuid' | 'text' | 'json';

const familyOf: { readonly [type in ObservedType]?: Family } = {
  boolean: 'boolean',
  int64: 'number',
  decimal: 'number',
  outsized: 'number',
  date: 'time',
  timestamp: 'time',
  timestamptz: 'zoned',
  uuid: 'uuid',
  text: 'text',
  json: 'json',
};

/** One stray value must not decide for ever: so many of at least so many values are enough. */
const majority = 0.95;
const enoughValues = 50;

export function countOf(counts: TypeCounts, ...types: readonly ObservedType[]): number {
  return types.reduce((sum, type) => sum + (counts[type] ?? 0), 0);
}

/** Values that are neither null nor an object that flattens. */
export function scalarCount(counts: TypeCounts): number {
  return total(counts) - countOf(counts, 'null', 'object');
}

/** At least 95 % of at least 50. */
export function isMajority(part: number, all: number): boolean {
  return all >= enoughValues && part >= majority * all;
}

/**
 * Type of a field that is seen for the first time. Where its values disagree across families, the
 * family of at least 95 % of at least 50 values wins and the others go to review; otherwise text,
 * or json where some of them are arrays. Null: nothing but nulls and objects was seen.
 */
export function firstType(counts: TypeCounts): FieldType | null {
  const all = scalarCount(counts);
  if (all === 0) return null;
  const families = sumByFamily(counts);
  const [winner, count] = [...families].reduce((a, b) => (b[1] > a[1] ? b : a));
  if (families.size === 1 || isMajority(count, all)) return typeInFamily(winner, counts);
  return families.has('json') ? 'json' : 'text';
}

/** A wider type of the same family that holds what was seen too; null: nothing to widen. */
export function widenedType(current: FieldType, counts: TypeCounts): FieldType | null {
  if (current === 'int64' && countOf(counts, 'decimal') > 0) return 'decimal';
  if (current === 'date' && countOf(counts, 'timestamp') > 0) return 'timestamp';
  return null;
}

function typeInFamily(family: Family, counts: TypeCounts): FieldType {
  if (family === 'zoned') return 'timestamptz';
  if (family === 'time') return countOf(counts, 'timestamp') > 0 ? 'timestamp' : 'date';
  if (family !== 'number') return family;
  if (countOf(counts, 'decimal') > 0) return 'decimal';
  return countOf(counts, 'int64') > 0 ? 'int64' : 'text'; // nothing but numbers beyond all limits
}

function sumByFamily(counts: TypeCounts): Map<Family, number> {
  const sums = new Map<Family, number>();
  for (const [type, count] of Object.entries(counts) as [ObservedType, number][]) {
    const family = familyOf[type];
    if (family && count > 0) sums.set(family, (sums.get(family) ?? 0) + count);
  }
  return sums;
}

function total(counts: TypeCounts): number {
  return Object.values(counts).reduce((sum: number, count) => sum + (count ?? 0), 0);
}
