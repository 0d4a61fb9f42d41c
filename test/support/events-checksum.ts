import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';

/**
 * How many, and the sum of a 24-bit hash over the columns of each (exact for
 * some 500 million events). Order does not matter.
 */
export interface EventsChecksum {
  readonly count: number;
  readonly sum: number;
}

interface Event {
  readonly id: number;
  readonly device: string;
  readonly kind: string;
  readonly temperature: number;
  readonly ok: boolean;
  readonly battery: { readonly percent: number };
  readonly note: string;
}

/** Reads events of `bench/events.ts` from their file, without any code of the product. */
export async function checksumOfFile(path: string): Promise<EventsChecksum> {
  let [count, sum] = [0, 0];
  for await (const line of createInterface({ input: createReadStream(path) })) {
    const { id, device, kind, temperature, ok, battery, note } = JSON.parse(line) as Event;
    const text = [id, device, kind, temperature, ok, battery.percent, note].join('|');
    count += 1;
    sum += createHash('md5').update(text).digest().readUIntBE(0, 3);
  }
  return { count, sum };
}

/** The same of the table that they were loaded into. */
export function checksumOfTable(table: string): string {
  const text = `concat_ws('|', id, device, kind, temperature, ok::text, battery_percent, note)`;
  return `SELECT count(*)::float8 AS count,
                 sum(('x' || left(md5(${text}), 6))::bit(24)::int8)::float8 AS sum FROM ${table}`;
}
