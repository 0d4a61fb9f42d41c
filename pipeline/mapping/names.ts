import { createHash } from 'node:crypto';
import { extraColumn, metadataColumns, type NamingRule } from '../../core/mapping.ts';

const suffixDigits = 6;

/** Names that no field may take, in any destination. */
const metadataNames: ReadonlySet<string> = new Set([
  ...metadataColumns.map(({ column }) => column),
  '_version',
  '_deleted',
  extraColumn,
]);

/**
 * Name of a new column: the field's path, folded; with `_` and 6 hex digits of the path's SHA-256
 * where that name is taken, reserved or too long. Decided once and stored in the mapping.
 */
export function assignColumnName(
  path: string,
  taken: ReadonlySet<string>,
  naming: NamingRule,
): string {
  return assign(path, (name) => taken.has(name) || metadataNames.has(name), naming);
}

/** Schema of a source, by the same rule. */
export function schemaNameOf(source: string, naming: NamingRule): string {
  return assign(source, (name) => naming.isReservedSchema?.(name) ?? false, naming);
}

/** Name of a new table, by the same rule. */
export function assignTableName(
  stream: string,
  taken: ReadonlySet<string>,
  naming: NamingRule,
): string {
  return assign(stream, (name) => taken.has(name), naming);
}

function assign(original: string, isTaken: (name: string) => boolean, naming: NamingRule): string {
  const folded = naming.fold(original);
  const whole = cutBytes(folded, naming.maxBytes);
  const reserved = naming.reserved?.has(whole) ?? false;
  if (whole === folded && whole !== '' && !reserved && !isTaken(whole)) return whole;
  const hash = createHash('sha256').update(original).digest('hex');
  for (let digits = suffixDigits; ; digits += 2) {
    const suffix = `_${hash.slice(0, digits)}`;
    const name = `${cutBytes(folded, naming.maxBytes - suffix.length)}${suffix}`;
    if (!isTaken(name) || digits >= hash.length) return name;
  }
}

/** Cuts at a character, never inside one. */
function cutBytes(name: string, maxBytes: number): string {
  const { read } = new TextEncoder().encodeInto(name, new Uint8Array(maxBytes));
  return name.slice(0, read);
}
