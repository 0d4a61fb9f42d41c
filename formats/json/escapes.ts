/** A whole escape at a time, so that the `u` of `\\u0000` (backslash, then text) is not one. */
const escapes =
  /\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\./gs;
/** What stands alone: U+0000, or half a surrogate pair. */
const unstorable = /^\\u(?:0000|[dD][89a-fA-F][0-9a-fA-F]{2})$/;

/**
 * Whether JSON text holds an escape for U+0000 or for half a surrogate pair, which many warehouses
 * cannot store. The text must be valid JSON.
 */
export function hasUnstorableEscape(json: string): boolean {
  if (!json.includes('\\u')) return false;
  for (const [escape] of json.matchAll(escapes)) if (unstorable.test(escape)) return true;
  return false;
}
