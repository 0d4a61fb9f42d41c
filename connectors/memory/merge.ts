import { keyColumns, type Mapping } from '../../core/mapping.ts';
import type { MemoryRow } from './warehouse.ts';

export function keyOf(mapping: Mapping, row: MemoryRow): string {
  return JSON.stringify(keyColumns(mapping).map(({ column }) => row.get(column) ?? null));
}

/** By the declared version, where there is one, then by `_version`. Equals change nothing. */
export function isNewer(mapping: Mapping, row: MemoryRow, other: MemoryRow): boolean {
  return (compareDeclared(mapping, row, other) || compare(row, other, '_version')) > 0;
}

function compareDeclared(mapping: Mapping, row: MemoryRow, other: MemoryRow): number {
  const declared = mapping.columns.find(({ path }) => path === mapping.merge?.version);
  if (!declared) return 0;
  const { column, type } = declared;
  if (type !== 'int64' && type !== 'decimal') return compare(row, other, column);
  return Number(row.get(column)) - Number(other.get(column));
}

function compare(row: MemoryRow, other: MemoryRow, column: string): number {
  const [one, two] = [row.get(column) ?? '', other.get(column) ?? ''];
  return one === two ? 0 : one > two ? 1 : -1;
}
