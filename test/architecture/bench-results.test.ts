import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { BenchResult } from '../../bench/main.ts';

/**
 * The least ratio (time of the floor / ours; of `freshness` and `schedule`: what is good enough / what it
 * took) that a committed figure may have. Figures come from `npm run bench -- CASE --save` on a
 * quiet machine; here only the newest of each case is read. A case without any is named and skipped.
 */
const bars: Readonly<Record<string, number>> = {
  json: 0.3,
  typed: 0.5,
  'http-single': 0.25,
  freshness: 1,
  merge: 0.3,
  schedule: 1,
};

const folder = join(import.meta.dirname, '../../bench/results');
const newest = new Map<string, BenchResult['cases'][number]>(
  readdirSync(folder)
    .toSorted((a, b) => (a < b ? -1 : 1)) // by date
    .flatMap((file) => {
      const { cases } = JSON.parse(readFileSync(join(folder, file), 'utf8')) as BenchResult;
      return cases.map((result) => [result.case, result] as const);
    }),
);

describe('the newest committed bench figure', () => {
  const [measured, missing] = [true, false].map((has) =>
    Object.entries(bars).filter(([name]) => newest.has(name) === has),
  ) as [[string, number][], [string, number][]];

  test.each(measured)('of %s is at least %d of its floor', (name, bar) => {
    expect(newest.get(name)?.ratio).toBeGreaterThanOrEqual(bar);
    expect(newest.get(name)?.runs.length).toBeGreaterThanOrEqual(3);
  });

  test.skip.each(missing)('of %s, at least %d: none is committed yet', () => undefined);
});
