import { setTimeout as sleep } from 'node:timers/promises';
import { isPipelineError } from '../core/errors.ts';
import { failurePolicies } from '../core/failures.ts';

const firstPauseMs = 100;
const longestPauseMs = 2_000;

/**
 * Calls until it succeeds, while what fails is infrastructure that may still be starting. Says so
 * on stderr once. Everything else is thrown at once.
 */
export async function untilReady<T>(what: string, call: () => Promise<T>): Promise<T> {
  for (let pause = firstPauseMs, said = false; ; pause = Math.min(pause * 2, longestPauseMs)) {
    try {
      return await call();
    } catch (error) {
      if (!isPipelineError(error) || failurePolicies[error.kind].action !== 'retry') throw error;
      if (!said) process.stderr.write(`waiting for ${what}: ${error.message}\n`);
      said = true;
      await sleep(pause);
    }
  }
}
