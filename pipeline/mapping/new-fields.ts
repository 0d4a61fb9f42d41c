import { fromFieldPath, toFieldPath } from '../../core/field-types.ts';
import type { Mapping, StreamProfile } from '../../core/mapping.ts';

/** Whether a profile has a field that a mapping has no column for, and no column that holds it. */
export function hasNewFields(mapping: Mapping, profile: StreamProfile): boolean {
  if (mapping.extra) return false; // it takes all that is new
  const known = new Set(mapping.columns.flatMap(({ path }) => prefixesOf(path)));
  const columns = new Set(mapping.columns.map(({ path }) => path));
  return profile.fields.some(
    ({ path }) => !known.has(path) && !prefixesOf(path).some((prefix) => columns.has(prefix)),
  );
}

/** Of `a.b`: `a` and `a.b`. */
function prefixesOf(path: string): readonly string[] {
  const segments = fromFieldPath(path);
  return segments.map((_, at) => toFieldPath(segments.slice(0, at + 1)));
}
