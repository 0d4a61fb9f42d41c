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
  source: string,
): Promise<readonly string[]> {
  try {
    const { raw } = await access.client.workflow.getHandle(workflowIds.sync(source)).describe();
    const activities = raw.pendingActivities ?? [];
    return activities.flatMap(({ lastFailure }) => lastFailure?.message ?? []);
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return [];
    throw error;
  }
}
