/**
 * Types a field can have, independent of any warehouse. Lossless order (DESIGN §8):
 * `int64 < decimal`, `date < timestamp`, `uuid < text`, everything `< text`.
 * `json` holds arrays and what lies deeper than the flattening limit.
 */
export const fieldTypes = [
  'boolean',
  'int64',
  'decimal',
  'date',
  'timestamp',
  'timestamptz',
  'uuid',
  'text',
  'json',
] as const;

export type FieldType = (typeof fieldTypes)[number];

/** What a profile can see in one value; `object` and `outsized` never become a column type. */
export type ObservedType = FieldType | 'null' | 'object' | 'outsized';

/**
 * Path of a field inside its event: segments joined by `.`; a literal `.` or `\` inside a key is
 * escaped by `\`. `a.b` is b in a; `a\.b` is the key "a.b".
 */
export type FieldPath = string;

export function toFieldPath(segments: readonly string[]): FieldPath {
  return segments.map((segment) => segment.replace(/[\\.]/g, (found) => `\\${found}`)).join('.');
}

export function fromFieldPath(path: FieldPath): readonly string[] {
  const segments = [''];
  for (let at = 0; at < path.length; at += 1) {
    const char = path[at];
    if (char === '.') segments.push('');
    else segments[segments.length - 1] += char === '\\' ? (path[(at += 1)] ?? '') : (char ?? '');
  }
  return segments;
}

const shownChars = 120;

/** A path as people see it in messages, in one line: producers make names of any length and form. */
export function shortPath(path: FieldPath): string {
  const shown = path.length <= shownChars ? path : `${path.slice(0, shownChars - 1)}…`;
  return shown.replaceAll(/[\s\p{Cc}]+/gu, ' ');
}
