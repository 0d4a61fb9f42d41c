import { recordFailures, type FailureOrigin } from '../store/catalog/failures.ts';
import { readWhole } from '../store/staging/read-whole.ts';
import type { ActivityDependencies } from './dependencies.ts';
import type { LoadFiles } from './threads/block-task.ts';
import { decodeFailures } from './threads/failure-file.ts';

/** Records the events that failed to map, as the attempt that staged them; false: there are none. */
export async function recordMapped(
  { staging, catalog }: Pick<ActivityDependencies, 'staging' | 'catalog'>,
  { failuresFile }: LoadFiles,
  at: FailureOrigin,
): Promise<boolean> {
  if (failuresFile === null) return false;
  for await (const events of decodeFailures(readWhole(staging, failuresFile))) {
    await recordFailures(catalog, at, events);
  }
  return true;
}
