import {
  condition,
  continueAsNew,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  upsertMemo,
  workflowInfo,
} from '@temporalio/workflow';
import type { Activities } from '../activities/contract.ts';
import { activityProfiles } from './activity-profiles.ts';
import { BatchFlight } from './batch-flight.ts';
import { nudgeSignal, type SyncSourceInput } from './messages.ts';

const { planBatches } = proxyActivities<Activities>(activityProfiles.plan);
const { startReviews } = proxyActivities<Activities>(activityProfiles.brief);

const defaultWindow = 4;
const pausedNote = 'the pipeline is paused: `resume` plans what is new';

/**
 * Brings in what one source has, id `sync/<source>`: plans, keeps a window of deliveries in flight
 * for every destination, and ends once a plan made after the last nudge found nothing. Keeps no
 * state that matters: the plan is in the catalog, batches go on without it, `maintain` starts it
 * again.
 */
export async function syncSource({
  source,
  window = defaultWindow,
}: SyncSourceInput): Promise<void> {
  const flight = new BatchFlight(source);
  let nudged = false;
  let isPaused = false;
  setHandler(nudgeSignal, () => void (nudged = true), {
    description: 'New data may be there: plan once more before ending. Needs no input.',
  });

  for (;;) {
    flight.lookAnew(nudged);
    nudged = false;
    const { batches, lookAgainMs, paused = false } = await planBatches({ source, window });
    isPaused = paused;
    const started = await flight.start(batches);
    setCurrentDetails(`${flight.describe()}; ${flight.size} batches in flight`);
    if (flight.size === 0 && started === 0 && !nudged) {
      if (lookAgainMs === undefined) break;
      await condition(() => nudged, lookAgainMs);
      continue;
    }
    if (workflowInfo().continueAsNewSuggested) {
      await flight.drain();
      await startReviewsOf(flight);
      await continueAsNew<typeof syncSource>({ source, window });
    }
    await flight.change(() => nudged);
  }
  const result = isPaused ? `${flight.describe()}; ${pausedNote}` : flight.describe();
  setCurrentDetails(result);
  upsertMemo({ result });
  await startReviewsOf(flight);
}

async function startReviewsOf({ source, failed }: BatchFlight): Promise<void> {
  if (failed > 0) await startReviews({ source });
}
