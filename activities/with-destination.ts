import { isPipelineError, PipelineError } from '../core/errors.ts';
import { setDeliveryState } from '../store/catalog/deliveries.ts';
import { noteDestinationFailure, readDestinationState } from '../store/catalog/destinations.ts';
import type { DeliveryInput } from './contract.ts';
import type { ActivityDependencies, OpenDestination } from './dependencies.ts';

/**
 * Runs a step of a delivery against its destination; one at a time while that is failing. Null: it
 * is away, the delivery now waits as a row and this workflow may end; `probeDestinations` reopens it.
 */
export async function withDestination<T>(
  dependencies: ActivityDependencies,
  { batchId, destination }: DeliveryInput,
  step: (destination: OpenDestination) => Promise<T>,
): Promise<T | null> {
  const { catalog, destinations } = dependencies;
  const at = { batchId, destination };
  const { state, message } = await readDestinationState(catalog, destination);
  if (state === 'away') return wait(dependencies, at);
  // Deliveries that hang must not take up the whole worker.
  using trial = state === 'failing' ? destinations.beginTrial(destination) : undefined;
  if (trial === null) throw new PipelineError('destination-unavailable', message ?? '');
  try {
    return await step(await destinations.open(destination));
  } catch (error) {
    if (!isPipelineError(error, 'destination-unavailable')) throw error;
    if ((await noteFailure(dependencies, destination, error)) === 'failing') throw error;
    return wait(dependencies, at);
  }
}

/** Where only a person can mend it, the destination is away at once. */
async function noteFailure(
  { catalog, settings }: ActivityDependencies,
  destination: string,
  { kind, message, details }: PipelineError,
): Promise<'failing' | 'away'> {
  const awayAfterMs = 'refused' in details ? 0 : settings.awayAfterMs;
  return noteDestinationFailure(catalog, { destination, kind, message, awayAfterMs });
}

async function wait({ catalog }: ActivityDependencies, at: DeliveryInput): Promise<null> {
  await setDeliveryState(catalog, {
    ...at,
    state: 'waiting',
    kind: 'destination-unavailable',
    message: 'waits until the destination is back',
  });
  return null;
}
