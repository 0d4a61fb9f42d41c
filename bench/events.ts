import { createWriteStream } from 'node:fs';
import { once } from 'node:events';
import { finished } from 'node:stream/promises';

const kinds = ['reading', 'status', 'alarm', 'boot'];
const notes = [
  'steady after calibration, no drift seen',
  'door opened twice within the interval',
  'signal weak behind the north wall',
  'nominal',
];

/** Writes `count` events of about 300 bytes as NDJSON; the same seed gives the same bytes. */
export async function writeEvents(path: string, count: number, seed: number): Promise<void> {
  const file = createWriteStream(path, { highWaterMark: 2 ** 20 });
  const random = createRandom(seed);
  for (let first = 0; first < count; first += 1_000) {
    let chunk = '';
    for (let n = first; n < Math.min(first + 1_000, count); n += 1) chunk += toLine(n, random);
    if (!file.write(chunk)) await once(file, 'drain');
  }
  file.end();
  await finished(file);
}

/** One event as a line of NDJSON. */
export function toLine(n: number, random: () => number): string {
  const at = new Date(Date.UTC(2026, 0, 1) + n * 250).toISOString();
  const hex = (digits: number) =>
    Math.floor(random() * 16 ** digits)
      .toString(16)
      .padStart(digits, '0');
  const event = {
    id: 1_000_000 + n,
    at,
    device: `${hex(8)}-${hex(4)}-4${hex(3)}-8${hex(3)}-${hex(8)}${hex(4)}`,
    kind: kinds[n % kinds.length],
    temperature: Math.round(random() * 4000 - 500) / 100,
    humidity: Math.round(random() * 1000) / 10,
    ok: random() < 0.98,
    battery: { volts: Math.round(random() * 420) / 100, percent: Math.floor(random() * 100) },
    note: notes[Math.floor(random() * notes.length)],
    tags: ['north', `zone-${n % 17}`],
    firmware: `4.${n % 7}.${n % 13}`,
  };
  return `${JSON.stringify(event)}\n`;
}

/** Mulberry32: small, seeded, good enough for test data. */
export function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}
