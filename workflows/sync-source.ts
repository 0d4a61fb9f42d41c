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
import { AskedPlans } from './asked-plans.ts';
import { BatchFlight } from './batch-flight.ts';
import { nudgeSignal, type SyncSourceInput } from './messages.ts';

const { planBatches } = proxyActivities<Activities>(activityProfiles.plan);
const { startReviews } = proxyActivities<Activities>(activityProfiles.brief);

const defaultWindow = 4;
const pausedNote = 'the pipeline is paused: `resume` plans what is new';

/**
 * Brings in what one source has, id `sync/<source>`: plans, keeps a window of deliveries in flight
 * for every destination, and ends once a plan made after the last nudge has all that was there. A
 * source that is written to all the time so has an end too. Keeps no state that matters: the plan
 * is in the catalog, batches go on without it, `maintain` starts it again.
 */
export async function syncSource({
  source,
  window = defaultWindow,
}: SyncSourceInput): Promise<void> {
  const flight = new BatchFlight(source);
  const asked = new AskedPlans();
  let isPaused = false;
  setHandler(nudgeSignal, () => asked.ask(), {
    description: 'New data may be there: plan once more before ending. Needs no input.',
  });

  for (;;) {
    flight.lookAnew(asked.isNew);
    const plan = await planBatches({ source, window, ...asked.next() });
    asked.note(plan);
    isPaused = plan.paused ?? false;
    const started = await flight.start(plan.batches);
    setCurrentDetails(`${flight.describe()}; ${flight.size} batches in flight`);
    if (flight.isIdle(started) && !asked.isNew) {
      if (asked.isOver) break;
      await condition(() => asked.isNew, asked.restMs);
      continue;
    }
    if (workflowInfo().continueAsNewSuggested) {
      await flight.drain();
      await startReviewsOf(flight);
      await continueAsNew<typeof syncSource>({ source, window });
    }
    await flight.change(() => asked.isNew);
  }
  const result = isPaused ? `${flight.describe()}; ${pausedNote}` : flight.describe();
  setCurrentDetails(result);
  upsertMemo({ result });
  await startReviewsOf(flight);
}

async function startReviewsOf({ source, failed }: BatchFlight): Promise<void> {
  if (failed > 0) await startReviews({ source });
}
