import { defineConfig } from 'vitest/config';

/**
 * One project per folder of `test/`; the folder says what its tests need (CONTRIBUTING.md).
 * `scripts/` is plain JavaScript, and so are its tests.
 */
const project = (name: string, testTimeout: number) => ({
  test: {
    name,
    include: [`test/${name}/**/*.test.{ts,js}`],
    pool: 'forks' as const,
    testTimeout,
    hookTimeout: 60_000,
  },
});

/** Faults of which `npm test` takes one of each kind are all in `npm run test:heavy`. */
const { test: heavyTests } = project('heavy', 1_800_000);
const heavy = {
  test: {
    ...heavyTests,
    include: [
      ...heavyTests.include,
      'test/faults/{backfill,backfill-types,failpoints,first-received,races,replace,sabotage,typed-road}.test.ts',
    ],
    env: { ALL_VARIANTS: '1' },
  },
};

export default defineConfig({
  test: {
    projects: [
      project('unit', 10_000),
      project('architecture', 60_000),
      project('replay', 60_000),
      project('conformance', 60_000),
      project('integration', 120_000),
      project('workflows', 120_000),
      project('faults', 300_000),
      project('e2e', 300_000),
      heavy,
    ],
  },
});
