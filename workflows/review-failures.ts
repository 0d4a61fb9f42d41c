import {
  condition,
  continueAsNew,
  ParentClosePolicy,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  startChild,
  upsertSearchAttributes,
  uuid4,
  workflowInfo,
} from '@temporalio/workflow';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import type { Activities } from '../activities/contract.ts';
import { activityProfiles } from './activity-profiles.ts';
import { retrySignal, workflowIds, type ReviewFailuresInput } from './messages.ts';
import { restream } from './restream.ts';
import { searchAttributes } from './search-attributes.ts';

const { countOpen } = proxyActivities<Activities>(activityProfiles.brief);

/** How often a waiting review brings its counts up to date for people who look. */
const refreshEveryMs = 10 * 60_000;
/** The same while events are on their way: what waited for a destination comes in without us. */
const refreshOnTheWayMs = 60_000;

/**
 * Holds one failure group, id `review/<groupId>`, until its events are in. Keeps no data: the
 * catalog is the truth, and `maintain` starts a review that is missing.
 */
export async function reviewFailures(input: ReviewFailuresInput): Promise<void> {
  const { groupId } = input;
  let { restreamId } = input;
  const shown = new Shown();
  setHandler(retrySignal, (asked) => void (restreamId ??= readRestreamId(asked) ?? uuid4()), {
    description: 'Restream the open events of this group with today’s mapping. Needs no input.',
  });

  for (;;) {
    const { open, restreaming, route, details } = await countOpen({ groupId });
    if (open + restreaming === 0) break;
    shown.show(restreamId === undefined ? 'waiting' : 'retrying', open + restreaming, details);
    if (workflowInfo().continueAsNewSuggested) {
      await continueAsNew<typeof reviewFailures>({ groupId, restreamId });
    }
    const patience = restreaming > 0 ? refreshOnTheWayMs : refreshEveryMs;
    const asked = await condition(() => restreamId !== undefined, patience);
    if (!asked || restreamId === undefined) continue;
    shown.show('retrying', open + restreaming, details);
    await runRestream({ groupId, restreamId }, `restream of ${route}: ${open} failed events`);
    restreamId = undefined;
  }
  shown.show('resolved', 0, 'All events of this group are in, or decided.');
}

/** Whatever else an operator types is a request without a name. */
function readRestreamId(asked: unknown): string | undefined {
  if (typeof asked !== 'object' || asked === null || !('restreamId' in asked)) return undefined;
  return typeof asked.restreamId === 'string' ? asked.restreamId : undefined;
}

/** What people can search for and read. An upsert is an event in the history: only on a change. */
class Shown {
  #last = '';

  show(state: 'waiting' | 'retrying' | 'resolved', parked: number, details: string): void {
    setCurrentDetails(details);
    if (this.#last === `${state} ${parked}`) return;
    this.#last = `${state} ${parked}`;
    upsertSearchAttributes([
      { key: searchAttributes.review, value: state },
      { key: searchAttributes.parked, value: parked },
    ]);
  }
}

/** Runs beside us, so that ending the review by hand does not end the restream. */
async function runRestream(
  { groupId, restreamId }: Required<ReviewFailuresInput>,
  staticSummary: string,
): Promise<void> {
  try {
    const child = await startChild(restream, {
      workflowId: workflowIds.restream(restreamId),
      args: [{ restreamId, groupId, requestedBy: 'temporal' }],
      parentClosePolicy: ParentClosePolicy.ABANDON,
      staticSummary,
      typedSearchAttributes: [{ key: searchAttributes.run, value: 'restream' }],
    });
    await child.result();
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError) && !isChildFailure(error))
      throw error;
  }
}

function isChildFailure(error: unknown): boolean {
  return error instanceof Error && error.name === 'ChildWorkflowFailure';
}
