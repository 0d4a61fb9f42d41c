import { expect, test } from 'vitest';
import { batchLimits, type LaneFacts } from '../../../../pipeline/batches/batch-limits.ts';

const MiB = 2 ** 20;
const most = { maxBytes: 64 * MiB, maxRecords: 200_000 };

const facts = (changed: Partial<Omit<LaneFacts, 'isMapped'>> & { mapped?: boolean }): LaneFacts => {
  const { mapped = false, ...rest } = changed;
  return { hasStream: true, isTyped: false, isMapped: async () => mapped, ...rest };
};

test('a stream without columns begins with one small batch', async () => {
  expect(await batchLimits(facts({}), most)).toEqual({ ...most, maxBytes: 8 * MiB, maxRanges: 1 });
  const low = { ...most, maxBytes: 1024 };
  expect(await batchLimits(facts({}), low)).toEqual({ ...low, maxRanges: 1 });
});

test('a stream with columns, and a lane of many streams, come in batches as large as may be', async () => {
  const whole = { ...most, maxRanges: 16 };
  expect(await batchLimits(facts({ mapped: true }), most)).toEqual(whole);
  expect(await batchLimits(facts({ hasStream: false }), most)).toEqual(whole);
});

test('rows that nobody parses come in batches four times as large, from the first one on', async () => {
  const { maxBytes, maxRecords, maxRanges } = await batchLimits(facts({ isTyped: true }), most);
  expect([maxBytes, maxRanges]).toEqual([256 * MiB, 16]);
  expect(maxRecords).toBeGreaterThan(1e12);
});
