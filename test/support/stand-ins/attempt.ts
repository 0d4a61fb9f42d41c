import { runAttempts } from '../run-attempts.ts';

/** Attempts as a worker would make them. */
await runAttempts();
