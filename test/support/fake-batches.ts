import type {
  Activities,
  ExtractResult,
  LoadResult,
  RunnableBatch,
} from '../../activities/contract.ts';

export interface BatchFakes {
  readonly activities: Pick<Activities, 'extract' | 'syncSchema' | 'mapBatch' | 'load'>;
  /** Batches in the order in which they were extracted; a batch that ran twice stands here twice. */
  readonly extracted: readonly string[];
}

export const extractedBatch: ExtractResult = {
  outcome: 'extracted',
  events: 11,
  bytes: 1_000,
  streams: ['readings'],
  destinations: ['warehouse'],
  source: 'plant',
};

/** Activities of batches with 10 rows and 1 failed event each, for one destination. */
export function createBatchFakes(change: Partial<Activities> = {}): BatchFakes {
  const extracted: string[] = [];
  const { extract, ...others } = change;
  const activities: BatchFakes['activities'] = {
    async extract(input) {
      extracted.push(input.batchId);
      if (extract) return extract(input);
      return extractedBatch;
    },
    syncSchema: () => Promise.resolve({ outcome: 'ready', changes: 0 }),
    mapBatch: () =>
      Promise.resolve({ mapAttempt: 'm-1', loadManifest: 'manifest', rows: 10, failed: 1 }),
    load: () => Promise.resolve(loadedAs('settled')),
    ...others,
  };
  return { activities, extracted };
}

export function loadedAs(outcome: LoadResult['outcome']): LoadResult {
  return outcome === 'settled'
    ? { outcome, rowsLoaded: 10, rowsFailed: 1 }
    : { outcome, rowsLoaded: 0, rowsFailed: 0 };
}

export function toRunnable(batchId: string): RunnableBatch {
  return { batchId, destinations: ['warehouse'], summary: `the batch ${batchId}` };
}
