import fc from 'fast-check';
import { expect, test } from 'vitest';
import { lineBatches } from '../../../cli/line-batches.ts';

async function* inPieces(bytes: Buffer, size: number) {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

const cut = (bytes: Buffer, size: number) => Array.fromAsync(lineBatches(inPieces(bytes, size)));

/** Those that hold something. */
const linesOf = (bytes: Buffer) => bytes.toString().split('\n').filter(Boolean);

test('batches hold whole lines and all of them, and are cut the same however the file is read', async () => {
  const lines = fc.array(fc.integer({ min: 0, max: 120_000 }), { maxLength: 12 });
  const sizes = fc.integer({ min: 1_000, max: 300_000 });
  const law = fc.asyncProperty(lines, sizes, async (lengths, size) => {
    const bytes = Buffer.from(lengths.map((length, n) => String(n % 10).repeat(length)).join('\n'));
    const batches = await cut(bytes, size);
    expect(linesOf(Buffer.concat(batches))).toEqual(linesOf(bytes));
    for (const batch of batches.slice(0, -1)) expect(batch.at(-1)).toBe(0x0a);
    expect(batches.map(({ length }) => length)).toEqual(
      (await cut(bytes, bytes.length + 1)).map(({ length }) => length),
    );
  });
  await fc.assert(law, { numRuns: 40 });
});

test('a line longer than a batch is a batch of its own', async () => {
  const long = 'x'.repeat(600_000);
  const batches = await cut(Buffer.from(`a\n${long}\nb\n`), 65_536);
  expect(batches.map(({ length }) => length)).toEqual([2, 600_001, 2]);
});

test('blank lines alone are no batch: a server refuses them', async () => {
  expect(await cut(Buffer.from('\n \r\n'), 100)).toEqual([]);
  const blanks = '\n'.repeat(600_000);
  const batches = await cut(Buffer.from(`a\n${blanks}b\n${blanks}`), 65_536);
  expect(batches.map((batch) => batch.toString().trim())).toEqual(['a', 'b']);
});
