import {
  WorkflowIdConflictPolicy,
  WorkflowIdReusePolicy,
  WorkflowNotFoundError,
} from '@temporalio/client';
import { nudgeSignal, workflowIds, type SyncSourceInput } from '../workflows/messages.ts';
import { searchAttributes } from '../workflows/search-attributes.ts';
import type { TemporalAccess } from './client.ts';

export interface SyncRef {
  readonly source: string;
  readonly workflowId: string;
  readonly runId: string;
}

/** Starts a sync of the source, or nudges the one that runs: it plans once more before it ends. */
export async function requestSync(access: TemporalAccess, source: string): Promise<SyncRef> {
  const workflowId = workflowIds.sync(source);
  const args: [SyncSourceInput] = [{ source }];
  const handle = await access.client.workflow.signalWithStart('syncSource', {
    workflowId,
    taskQueue: access.taskQueue,
    args,
    signal: nudgeSignal.name,
    workflowIdReusePolicy: WorkflowIdReusePolicy.ALLOW_DUPLICATE,
    workflowIdConflictPolicy: WorkflowIdConflictPolicy.USE_EXISTING,
    staticSummary: `sync ${source}`,
    typedSearchAttributes: [{ key: searchAttributes.source, value: source }],
  });
  return { source, workflowId, runId: handle.signaledRunId };
}

/** What keeps the sync of a source from going on: the last failures of activities that are retried. */
export async function readObstacles(
  access: TemporalAccess,
  { source, batchIds }: { readonly source: string; readonly batchIds: readonly string[] },
): Promise<readonly string[]> {
  const ids = [workflowIds.sync(source), ...batchIds.map((batchId) => workflowIds.batch(batchId))];
  const found = await Promise.all(ids.map((id) => readLastFailures(access, id)));
  return found.flat();
}

async function readLastFailures(
  access: TemporalAccess,
  workflowId: string,
): Promise<readonly string[]> {
  try {
    const { raw } = await access.client.workflow.getHandle(workflowId).describe();
    const failures = (raw.pendingActivities ?? []).map(({ lastFailure }) => lastFailure);
    // One that waits for its turn is no obstacle.
    const real = failures.filter(
      (failure) => failure?.applicationFailureInfo?.type !== 'earlier-batch-first',
    );
    return real.flatMap((failure) => failure?.message ?? []);
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return [];
    throw error;
  }
}
