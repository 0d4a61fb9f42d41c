import { isPipelineError } from '../core/errors.ts';
import { failpoint } from '../core/failpoints.ts';
import { failurePolicies } from '../core/failures.ts';
import { laneWindows } from '../connectors/kit/lane-windows.ts';
import { batchIdOf } from '../pipeline/batches/batch-id.ts';
import {
  backfillProgress,
  changeBackfill,
  closeBackfill,
  findBackfill,
  planBackfill,
  readBackfill,
} from '../store/catalog/backfills.ts';
import { listRunnable } from '../store/catalog/batches.ts';
import { listLanesOf } from '../store/catalog/lanes.ts';
import type { BackupCheck } from './backup-check.ts';
import type { Activities, BackfillOrder, BackfillStatus } from './contract.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { summarizeBatch } from './summarize-batch.ts';

const defaultConcurrency = 2;

export function createBeginBackfill(
  dependencies: ActivityDependencies,
  backups: Pick<BackupCheck, 'beforePlanning'>,
): Activities['beginBackfill'] {
  const { catalog } = dependencies;
  return async function beginBackfill(order: BackfillOrder): Promise<BackfillStatus> {
    const { requestId } = order;
    // Mostly it is planned already: by the server, or before this workflow was started again.
    if ((await findBackfill(catalog, requestId))?.source === order.source) {
      return readStatus(dependencies, requestId);
    }
    try {
      await plan(dependencies, backups, order);
    } catch (error) {
      if (isPipelineError(error) && failurePolicies[error.kind].action === 'refuse') {
        return { ...nothing, refused: error.message };
      }
      throw error;
    }
    await failpoint('plan-committed');
    return readStatus(dependencies, requestId);
  };
}

async function plan(
  dependencies: ActivityDependencies,
  backups: Pick<BackupCheck, 'beforePlanning'>,
  order: BackfillOrder,
): Promise<void> {
  const { catalog, configuration, openSource, signal } = dependencies;
  const { requestId, source: name, stream = null, lane = null, from, to } = order;
  const configured = await configuration.source(name);
  await backups.beforePlanning(configured); // what it finds is seen by the plan
  await using source = await openSource(configured);
  const known = await listLanesOf(catalog, { source: name, lane, stream });
  await planBackfill(catalog, {
    requestId,
    source: name,
    stream,
    lane,
    fromAsked: from ?? null,
    toAsked: to ?? null,
    concurrency: order.concurrency ?? defaultConcurrency,
    author: 'temporal',
    destinations: configured.pipeline?.destinations ?? [],
    windows: await laneWindows(source, known, { from, to }, signal()),
    batchIdOf: (range) => batchIdOf({ run: `backfill/${requestId}`, source: name, ...range }),
  });
}

const nothing: BackfillStatus = {
  state: 'running',
  paused: false,
  concurrency: 0,
  batches: 0,
  settled: 0,
  lost: 0,
  waiting: 0,
  stopped: 0,
  rowsLoaded: 0,
  rowsDuplicate: 0,
  rowsSuperseded: 0,
  rowsFailed: 0,
  runnable: [],
};

export function createBackfillStatus(
  dependencies: ActivityDependencies,
): Activities['backfillStatus'] {
  return async function backfillStatus({ requestId }): Promise<BackfillStatus> {
    return readStatus(dependencies, requestId);
  };
}

export function createTuneBackfill({ catalog }: ActivityDependencies): Activities['tuneBackfill'] {
  return async function tuneBackfill(tuning): Promise<void> {
    await changeBackfill(catalog, { ...tuning, author: 'temporal' });
  };
}

async function readStatus(
  { catalog }: ActivityDependencies,
  requestId: string,
): Promise<BackfillStatus> {
  await closeBackfill(catalog, requestId);
  const { source, state, paused, concurrency } = await readBackfill(catalog, requestId);
  const { pending: _pending, ...counts } = await backfillProgress(catalog, requestId);
  const at = { source, window: concurrency, run: `backfill/${requestId}` } as const;
  const batches = paused ? [] : await listRunnable(catalog, at);
  return { state, paused, concurrency, ...counts, runnable: batches.map(summarizeBatch) };
}
