import { isPipelineError } from '../core/errors.ts';

/** Null where staged files, or what was read in place, are gone or damaged. */
export async function unlessLost<T>(work: () => Promise<T>): Promise<T | null> {
  try {
    return await work();
  } catch (error) {
    if (isPipelineError(error, 'extract-lost')) return null;
    throw error;
  }
}
