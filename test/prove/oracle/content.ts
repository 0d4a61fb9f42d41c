import { createHash } from 'node:crypto';

/**
 * What an event says, whatever it travelled through: its fields by name, without those that are
 * null or that the warehouse added (their names begin with `_`). Times are compared as times.
 */
export function contentOf(fields: Readonly<Record<string, unknown>>): string {
  const entries = Object.entries(fields)
    .filter(([name, value]) => !name.startsWith('_') && value !== null && value !== undefined)
    .map(([name, value]) => [name, name.endsWith('at') ? toTime(value) : value] as const)
    .toSorted(([a], [b]) => (a < b ? -1 : 1));
  return createHash('md5').update(JSON.stringify(entries)).digest('hex').slice(0, 16);
}

export function sha256(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function toTime(value: unknown): unknown {
  const time = new Date(String(value));
  return Number.isNaN(time.getTime()) ? value : time.toISOString();
}
