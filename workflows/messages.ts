import { defineSignal } from '@temporalio/workflow';

/** New data may be there: plan once more before ending. */
export const nudgeSignal = defineSignal('nudge');

/** Restream the open events of this group. No argument; a repetition joins the first. */
export const retrySignal = defineSignal('retry');

export interface SyncSourceInput {
  readonly source: string;
  /** Deliveries on their way at once into one destination. */
  readonly window?: number;
}

export interface ProcessBatchInput {
  readonly batchId: string;
  /** Only these; by default all that still want the batch. */
  readonly destinations?: readonly string[];
}

export interface BatchOutcome {
  readonly outcome: 'settled' | 'waiting' | 'stopped' | 'lost';
  readonly rowsLoaded: number;
  readonly rowsFailed: number;
  /** The first five, for people. */
  readonly streams?: readonly string[];
}

export interface ReviewFailuresInput {
  readonly groupId: string;
  /** Set when a retry was asked for and the run continued as new before it ran. */
  readonly restreamId?: string;
}

export interface RestreamWorkflowInput {
  readonly restreamId: string;
  readonly groupId: string;
  readonly requestedBy: string;
}

export const workflowIds = {
  sync: (source: string) => `sync/${source}`,
  batch: (batchId: string) => `batch/${batchId}`,
  review: (groupId: string) => `review/${groupId}`,
  restream: (restreamId: string) => `restream/${restreamId}`,
  maintain: 'maintain',
} as const;
