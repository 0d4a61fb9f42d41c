import {
  WorkflowIdConflictPolicy,
  WorkflowIdReusePolicy,
  WorkflowNotFoundError,
} from '@temporalio/client';
import {
  pauseSignal,
  resumeSignal,
  workflowIds,
  type BackfillSourceInput,
} from '../workflows/messages.ts';
import { searchAttributes, toKeyword } from '../workflows/search-attributes.ts';
import type { TemporalAccess } from './client.ts';

/** A backfill that the catalog knows. */
export interface BackfillToRun {
  readonly requestId: string;
  readonly source: string;
  readonly stream: string | null;
  readonly lane: string | null;
  readonly fromAsked: string | null;
  readonly toAsked: string | null;
}

/** Starts the workflow of a backfill, unless it runs. Answers its id. */
export async function startBackfill(
  access: TemporalAccess,
  backfill: BackfillToRun,
): Promise<string> {
  const { requestId, source, stream, lane, fromAsked: from, toAsked: to } = backfill;
  const workflowId = workflowIds.backfill(source, requestId);
  const input: BackfillSourceInput = {
    ...(stream !== null && { stream }),
    ...(lane !== null && { lane }),
    ...(from !== null && { from }),
    ...(to !== null && { to }),
  };
  const name = stream === null ? source : `${source}.${stream}`;
  await access.client.workflow.start('backfillSource', {
    workflowId,
    taskQueue: access.taskQueue,
    args: [input],
    workflowIdReusePolicy: WorkflowIdReusePolicy.ALLOW_DUPLICATE,
    workflowIdConflictPolicy: WorkflowIdConflictPolicy.USE_EXISTING,
    staticSummary: `backfill of ${name}`.slice(0, 200),
    staticDetails: [
      `Reads **${name}** again and loads what is not there, or is newer than what is.`,
      '',
      '- signals `pause` and `resume`, no input',
      '- query `progress`, update `setConcurrency` with `{"concurrency": 4}`',
      '- terminated by hand it is started again: `pause` holds it',
    ].join('\n'),
    typedSearchAttributes: [
      { key: searchAttributes.source, value: source },
      { key: searchAttributes.run, value: 'backfill' },
      ...(stream === null ? [] : [{ key: searchAttributes.stream, value: toKeyword(stream) }]),
    ],
  });
  return workflowId;
}

/** Tells a running backfill; one that does not run reads the catalog when it starts. */
export async function signalBackfill(
  access: TemporalAccess,
  { source, requestId }: Pick<BackfillToRun, 'source' | 'requestId'>,
  paused: boolean,
): Promise<void> {
  const handle = access.client.workflow.getHandle(workflowIds.backfill(source, requestId));
  await handle.signal(paused ? pauseSignal : resumeSignal).catch((error: unknown) => {
    if (!(error instanceof WorkflowNotFoundError)) throw error;
  });
}
