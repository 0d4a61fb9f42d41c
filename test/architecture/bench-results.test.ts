import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { BenchResult } from '../../bench/main.ts';

/**
 * The least ratio (time of the floor / ours) that a committed figure may have. Figures come from
 * `npm run bench -- CASE --save` on a quiet machine; here only the newest of each case is read.
 */
const bars: Readonly<Record<string, number>> = { json: 0.3 };

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
  test.each(Object.entries(bars))('of %s is at least %d of its floor', (name, bar) => {
    expect(newest.get(name)?.ratio).toBeGreaterThanOrEqual(bar);
    expect(newest.get(name)?.runs.length).toBeGreaterThanOrEqual(3);
  });
});
