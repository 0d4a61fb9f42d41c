import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

/**
 * Writes readings.ndjson: 3,000 sensor readings. The first 2,000 are sound and fix the columns;
 * among the others are known faults, so that the review queue of the demo is not empty.
 * The same seed gives the same bytes: node examples/make-readings.js [FILE]
 */
const count = 3_000;
const soundCount = 2_000;
const seed = 2018;

const faults = [
  (line) => line.replace(/"temperature":[^,]+/, '"temperature":"offline"'),
  (line) => line.replace(/"temperature":[^,]+/, '"temperature":"n/a"'),
  (line) => line.replace(/"at":"[^"]+"/, '"at":"yesterday"'),
  (line) => line.replace(/"at":"[^"]+"/, '"at":"24/11/2026 08:00"'),
  (line) => line.replace(/"humidity":[^,]+/, '"humidity":1e400'),
  (line) => line.slice(0, -9),
  (line) => line.replace('{', '{"device":"twice",'),
  (line) => line.replace(/"device":"[^"]+"/, '"device":"north\\u0000wall"'),
];

function createRandom(start) {
  let state = start >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

function* readings() {
  const random = createRandom(seed);
  for (let n = 0; n < count; n += 1) {
    const line = JSON.stringify({
      reading_id: 100_000 + n,
      device: `sensor-${String(Math.floor(random() * 40)).padStart(2, '0')}`,
      at: new Date(Date.UTC(2026, 10, 1) + n * 30_000).toISOString(),
      temperature: Math.round(random() * 3500 + 25) / 100,
      humidity: Math.round(random() * 1000) / 10 + 0.01,
      battery: Math.floor(random() * 101),
      firmware: `4.${Math.floor(random() * 3)}.1`,
    });
    const faulty = n >= soundCount && random() < 0.06;
    yield faulty ? faults[Math.floor(random() * faults.length)](line) : line;
  }
}

const target = process.argv[2] ?? fileURLToPath(new URL('readings.ndjson', import.meta.url));
await writeFile(target, `${[...readings()].join('\n')}\n`);
