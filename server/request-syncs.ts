import { isPipelineError } from '../core/errors.ts';
import { requestSync } from '../temporal/syncs.ts';
import type { ServerContext } from './context.ts';

/**
 * Asks Temporal for syncs that the catalog knows to be wanted. Null, or why it was not asked:
 * `maintain` brings them in then.
 */
export async function askForSyncs(
  { temporal }: ServerContext,
  sources: readonly string[],
): Promise<string | null> {
  try {
    await temporal.use(async (access) => {
      for (const source of sources) await requestSync(access, source);
    });
    return null;
  } catch (error) {
    return explainDelay(error);
  }
}

export function explainDelay(error: unknown): string {
  return isPipelineError(error) ? error.message : 'Temporal cannot be reached now';
}
