import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { openEncodedRows } from '../../../activities/load-files.ts';
import { decodeFailures, encodeFailure } from '../../../activities/threads/failure-file.ts';
import type { FailedEvent } from '../../../core/failed-events.ts';
import type { Mapping } from '../../../core/mapping.ts';
import type { Staging } from '../../../core/staging.ts';
import { chunked, collect } from '../../support/chunks.ts';

const failure = fc
  .record({
    ordinal: fc.nat(),
    child: fc.nat({ max: 9 }),
    raw: fc.uint8Array({ maxLength: 60 }),
    field: fc.string(),
    message: fc.string(),
    eventId: fc.string({ unit: 'grapheme' }),
  })
  .map((event): FailedEvent => ({
    ...event,
    stage: 'map',
    kind: 'type-mismatch',
    stream: 't',
    context: { format: { kind: 'csv', csv: { columns: ['é', '"'], delimiter: ';' } } },
    lineNumber: 7,
    version: 'v.1',
  }));

describe('a file of failures', () => {
  const plain = (event: FailedEvent) => ({ ...event, raw: [...event.raw] });

  test('brings back each event with any bytes, however it is cut', async () => {
    const law = fc.asyncProperty(
      fc.array(failure),
      fc.integer({ min: 1, max: 200 }),
      async (events, size) => {
        const bytes = Buffer.concat(events.flatMap((event) => [...encodeFailure(event)]));
        const portions = await collect(decodeFailures(chunked(bytes, size)));
        expect(portions.flat().map(plain)).toEqual(events.map(plain));
      },
    );
    await fc.assert(law);
  });

  test('that is cut off is damaged, not shorter', async () => {
    const [event] = fc.sample(failure, { numRuns: 1, seed: 1 });
    const bytes = Buffer.concat([...encodeFailure(event as FailedEvent)]);
    for (let length = 1; length < bytes.length; length += 7) {
      const read = collect(decodeFailures(chunked(bytes.subarray(0, length), 16)));
      await expect(read).rejects.toMatchObject({ kind: 'extract-lost' });
    }
  });
});

test('any part of the staged rows is read as it stands, and not from the start each time', async () => {
  const rows = Array.from({ length: 3_000 }, (_, at) => `${'x'.repeat(at % 50)}${at}\n`);
  const file = Buffer.from(rows.join(''));
  let bytesRead = 0;
  const staging: Pick<Staging, 'get'> = {
    async *get(_name, from = 0, to = file.length) {
      for await (const chunk of chunked(file.subarray(from, to), 999)) {
        bytesRead += chunk.length;
        yield chunk;
      }
    },
  };
  const rowsFile = {
    name: 'r',
    bytes: file.length,
    sha256: createHash('sha256').update(file).digest('hex'),
  };
  const part = { stream: 't', rowsFile, ordinalsFile: rowsFile, rowCount: rows.length, layout: '' };
  const encoded = openEncodedRows(staging as Staging, part, {
    mapping: {} as Mapping,
    laterColumns: async () => [],
  });
  const read = async (from: number, to: number) =>
    Buffer.concat(await collect(encoded.read(from, to))).toString();

  expect(await read(0, rows.length)).toBe(file.toString());
  const place = fc.nat({ max: rows.length });
  const law = fc.asyncProperty(place, place, async (one, two) => {
    const [from, to] = [Math.min(one, two), Math.max(one, two)];
    expect(await read(from, to)).toBe(rows.slice(from, to).join(''));
  });
  await fc.assert(law);
  const leftOut = fc.uniqueArray(fc.nat({ max: rows.length - 1 }), { maxLength: 40 });
  const without = fc.asyncProperty(leftOut, place, place, async (gone, one, two) => {
    const excluded = new Set(gone);
    const kept = rows.filter((_, row) => !excluded.has(row));
    const fewer = encoded.without(excluded);
    expect(fewer.rowCount).toBe(kept.length);
    const [from, to] = [Math.min(one, two), Math.min(Math.max(one, two), kept.length)];
    const found = Buffer.concat(await collect(fewer.read(from, to))).toString();
    expect(found).toBe(kept.slice(from, to).join(''));
  });
  await fc.assert(without);
  bytesRead = 0;
  for (let row = 2_000; row < 2_100; row += 1) await read(row, row + 1);
  expect(bytesRead).toBeLessThan(100 * 256 * 56);
});
