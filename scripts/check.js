import { runChecks } from './check-steps.js';
import { runMain } from './progress.js';
import { setUp } from './set-up.js';

/** Format, types, lint, directions, dead code and the quick tests: under a minute. */
await runMain(async () => {
  await setUp();
  const { failed } = await runChecks();
  return failed === 0 ? 0 : 1;
});
