import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';

/** New data may be there: plan once more before ending. */
export const nudgeSignal = defineSignal('nudge');

/**
 * Restream the open events of this group; a repetition joins the first. People give no argument; the
 * server names the restream under which the catalog keeps the request.
 */
export const retrySignal = defineSignal<[unknown?]>('retry');

/** Hold this backfill: batches on their way finish. No argument. */
export const pauseSignal = defineSignal('pause');

/** Let a paused backfill go on. No argument. */
export const resumeSignal = defineSignal('resume');

/** How far a backfill is. */
export const progressQuery = defineQuery<BackfillProgress>('progress');

/** How many batches of a backfill run at once into one destination. */
export const setConcurrencyUpdate = defineUpdate<{ concurrency: number }, [unknown]>(
  'setConcurrency',
);

/**
 * What the Web UI's start form takes for `backfillSource`; the workflow id names source and request:
 * `backfill/<source>/<requestId>`. Everything may be left out.
 */
export interface BackfillSourceInput {
  readonly stream?: string;
  readonly lane?: string;
  readonly from?: string;
  readonly to?: string;
  readonly concurrency?: number;
}

export interface BackfillProgress {
  readonly state: 'planning' | 'running' | 'paused' | 'settled';
  readonly concurrency: number;
  readonly batches: number;
  readonly settled: number;
  readonly lost: number;
  readonly inFlight: number;
  readonly rowsLoaded: number;
  readonly rowsDuplicate: number;
  readonly rowsSuperseded: number;
  readonly rowsFailed: number;
}

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
  backfill: (source: string, requestId: string) => `backfill/${source}/${requestId}`,
  maintain: 'maintain',
} as const;
