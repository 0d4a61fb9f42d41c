import type { LoadPart } from './batch-to-load.ts';

/** The rows of other events than these. */
export function withoutOrdinals(
  { rows, ordinals }: LoadPart,
  excluded: ReadonlySet<number>,
): LoadPart {
  const indexes = new Set<number>();
  for (const [index, ordinal] of ordinals.entries()) if (excluded.has(ordinal)) indexes.add(index);
  if (indexes.size === 0) return { rows, ordinals };
  const kept = ordinals.filter((_, index) => !indexes.has(index));
  return { rows: rows.without(indexes), ordinals: kept };
}
