import { expect, test } from 'vitest';
import { batchLimits } from '../../../../pipeline/batches/batch-limits.ts';

const MiB = 2 ** 20;
const most = { maxBytes: 64 * MiB, maxRecords: 200_000 };

test('a stream without columns begins with one small batch', () => {
  const facts = { isMapped: false, mayCopy: false };
  expect(batchLimits(facts, most)).toEqual({ ...most, maxBytes: 8 * MiB, maxRanges: 1 });
  const low = { ...most, maxBytes: 1024 };
  expect(batchLimits(facts, low)).toEqual({ ...low, maxRanges: 1 });
});

test('a stream with columns comes in batches as large as may be', () => {
  const facts = { isMapped: true, mayCopy: false };
  expect(batchLimits(facts, most)).toEqual({ ...most, maxRanges: 16 });
});

test('rows that nobody parses may come in batches four times as large, from the first one on', () => {
  const { copied, ...others } = batchLimits({ isMapped: false, mayCopy: true }, most);
  expect(copied).toMatchObject({ maxBytes: 256 * MiB, maxRanges: 16 });
  expect(copied?.maxRecords).toBeGreaterThan(1e12);
  expect(others).toEqual({ ...most, maxBytes: 8 * MiB, maxRanges: 1 });
});
