import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';

const reference = /\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}/g;
/** Only these may be read from a file: their values are secrets. */
const secretSettings = new Set(['url', 'password', 'token']);

export interface ExpandContext {
  readonly env: NodeJS.ProcessEnv;
  readonly configDir: string;
  readonly fault: (path: readonly (string | number)[], message: string) => void;
}

/** Replaces `${NAME}`, `${NAME:-default}` and `file:PATH` in the texts of a document. */
export function expandValues(
  value: unknown,
  context: ExpandContext,
  path: readonly (string | number)[] = [],
): unknown {
  if (typeof value === 'string') return expandText(value, context, path);
  if (Array.isArray(value)) {
    return value.map((item, at) => expandValues(item, context, [...path, at]));
  }
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([key, item]) => [
    key,
    expandValues(item, context, [...path, key]),
  ]);
  return Object.fromEntries(entries) as unknown;
}

function expandText(
  text: string,
  { env, configDir, fault }: ExpandContext,
  path: readonly (string | number)[],
): string {
  if (text.startsWith('file:') && secretSettings.has(String(path.at(-1)))) {
    try {
      return readFileSync(resolve(configDir, text.slice('file:'.length)), 'utf8').trim();
    } catch {
      fault(path, `the file ${text.slice('file:'.length)} cannot be read`);
      return '';
    }
  }
  return text.replaceAll(reference, (_, name: string, fallback: string | undefined) => {
    const value = env[name] || fallback;
    if (value === undefined)
      fault(path, `the environment has no ${name}: set it, or write \${${name}:-default}`);
    return value ?? '';
  });
}
