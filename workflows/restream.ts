import {
  ParentClosePolicy,
  proxyActivities,
  setCurrentDetails,
  sleep,
  startChild,
  upsertMemo,
  WorkflowIdReusePolicy,
} from '@temporalio/workflow';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import type { Activities, RestreamStatus } from '../activities/contract.ts';
import { activityProfiles } from './activity-profiles.ts';
import { workflowIds, type RestreamWorkflowInput } from './messages.ts';
import { processBatch } from './process-batch.ts';
import { searchAttributes } from './search-attributes.ts';

const { freezeRestream, restreamStatus } = proxyActivities<Activities>(activityProfiles.brief);

const window = 4;
const roundsWithoutProgress = 5;
const lookAgainMs = 1_000;

/**
 * Sends the open events of a failure group through the pipeline again, id `restream/<restreamId>`:
 * claims them, then runs the batches they were cut into. Ends when all are settled, or when the
 * rest waits for an absent destination; `maintain` starts it again then.
 */
export async function restream(input: RestreamWorkflowInput): Promise<void> {
  let status = await freezeRestream(input);
  for (let idle = 0; status.runnable.length > 0 && idle < roundsWithoutProgress;) {
    setCurrentDetails(describe(status));
    const before = status.runnable[0];
    const summary = `restream of ${status.route}`;
    await Promise.all(status.runnable.slice(0, window).map((id) => runBatch(id, summary)));
    status = await restreamStatus({ restreamId: input.restreamId });
    idle = status.runnable[0] === before ? idle + 1 : 0;
    if (idle > 0) await sleep(lookAgainMs);
  }
  setCurrentDetails(describe(status));
  upsertMemo({ result: describe(status) });
}

async function runBatch(batchId: string, staticSummary: string): Promise<void> {
  try {
    const child = await startChild(processBatch, {
      workflowId: workflowIds.batch(batchId),
      args: [{ batchId }],
      workflowIdReusePolicy: WorkflowIdReusePolicy.ALLOW_DUPLICATE,
      parentClosePolicy: ParentClosePolicy.ABANDON,
      staticSummary,
      typedSearchAttributes: [
        { key: searchAttributes.batch, value: batchId },
        { key: searchAttributes.run, value: 'restream' },
      ],
    });
    await child.result();
  } catch (error) {
    const running = error instanceof WorkflowExecutionAlreadyStartedError;
    const ended = error instanceof Error && error.name === 'ChildWorkflowFailure';
    if (!running && !ended) throw error;
  }
}

function describe({ route, events, resolved, failedAgain, waiting }: RestreamStatus): string {
  const parts = [`${resolved} rows loaded`, `${failedAgain} failed events again`];
  if (waiting > 0) parts.push(`${waiting} batches wait for their destination`);
  return `**${route}** · ${events} events → ${parts.join(', ')}`;
}
