import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { eventIdOf, recordBytes, type RecordBlock } from '../../../core/records.ts';
import { decodeFrames, encodeFrame } from '../../../formats/frames.ts';
import { chunked, collect } from '../../support/chunks.ts';

const record = fc.uint8Array({ maxLength: 40 });

const block: fc.Arbitrary<RecordBlock> = fc
  .record({
    records: fc.array(record, { maxLength: 8 }),
    stream: fc.string(),
    idPrefix: fc.string(),
    numbered: fc.boolean(),
    named: fc.boolean(),
    first: fc.nat({ max: 2 ** 52 }),
  })
  .map(({ records, stream, idPrefix, numbered, named, first }) => {
    const ends = new Uint32Array(records.length);
    let end = 0;
    for (const [at, { length }] of records.entries()) ends[at] = end += length;
    const numbers = Float64Array.from(records, (_, at) => first + at);
    return {
      stream,
      context: { format: { kind: 'json' as const }, fileName: 'a/ü.ndjson' },
      bytes: Buffer.concat(records),
      starts: Uint32Array.from(ends, (_, at) => ends[at - 1] ?? 0),
      ends,
      idPrefix,
      idNumbers: numbers,
      ...(named && { ids: records.map((_, at) => `id\u0000${at}`) }),
      ...(named ? { versions: records.map((_, at) => `v${at}`) } : { versionPrefix: idPrefix }),
      ...(numbered && { lineNumbers: numbers }),
      ...(records.length > 0 && {
        faults: [{ index: 0, kind: 'too-large' as const, message: 'm' }],
      }),
    };
  });

const plain = (value: RecordBlock) => ({
  ...value,
  bytes: [...value.bytes],
  starts: [...value.starts],
  ends: [...value.ends],
  idNumbers: [...value.idNumbers],
  lineNumbers: value.lineNumbers && [...value.lineNumbers],
});

const decode = (bytes: Uint8Array, size: number) => collect(decodeFrames(chunked(bytes, size)));

describe('frames', () => {
  test('bring back any blocks, however the bytes are cut', async () => {
    const law = fc.asyncProperty(
      fc.array(block, { maxLength: 4 }),
      fc.integer({ min: 1, max: 300 }),
      async (blocks, size) => {
        const bytes = Buffer.concat(blocks.flatMap((one) => [...encodeFrame(one)]));
        const found = await decode(bytes, size);
        expect(found.map(plain)).toEqual(blocks.map(plain));
        for (const [at, one] of found.entries()) {
          for (let n = 0; n < one.starts.length; n += 1) {
            expect(eventIdOf(one, n)).toBe(eventIdOf(blocks[at] as RecordBlock, n));
            expect([...recordBytes(one, n)]).toEqual([
              ...recordBytes(blocks[at] as RecordBlock, n),
            ]);
          }
        }
      },
    );
    await fc.assert(law);
  });

  test('that are cut off are damaged, not fewer', async () => {
    const [one] = fc.sample(block, { numRuns: 1, seed: 7 });
    const bytes = Buffer.concat([...encodeFrame(one as RecordBlock)]);
    for (let length = 1; length < bytes.length; length += 1) {
      await expect(decode(bytes.subarray(0, length), 64)).rejects.toMatchObject({
        kind: 'extract-lost',
      });
    }
  });

  test('with a flipped bit never crash the reader', async () => {
    const [one] = fc.sample(block, { numRuns: 1, seed: 3 });
    const bytes = Buffer.concat([...encodeFrame(one as RecordBlock)]);
    for (let at = 0; at < 24 * 8; at += 1) {
      const copy = Buffer.from(bytes);
      copy[at >> 3] = (copy[at >> 3] as number) ^ (1 << (at & 7));
      const outcome = await decode(copy, 64).catch((error: unknown) => error);
      if (outcome instanceof Error) expect(outcome).toMatchObject({ kind: 'extract-lost' });
    }
  });
});
