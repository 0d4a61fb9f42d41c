import { BackupCheck } from './backup-check.ts';
import type { Activities } from './contract.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { createBackfillStatus, createBeginBackfill, createTuneBackfill } from './backfills.ts';
import { createExtract } from './extract.ts';
import { createLoad } from './load.ts';
import { createProbeDestinations, createReconcile, createSweep } from './maintenance.ts';
import { createMapBatch } from './map-batch.ts';
import { createPlanBatches } from './plan-batches.ts';
import { createFreezeRestream, createRestreamStatus } from './restreams.ts';
import { createCountOpen, createStartReviews } from './reviews.ts';
import { createSyncSchema } from './sync-schema.ts';

/** All activities of a worker, in the order of a batch's life. */
export function createActivities(dependencies: ActivityDependencies): Activities {
  const backups = new BackupCheck(dependencies);
  return {
    planBatches: createPlanBatches(dependencies, backups),
    extract: createExtract(dependencies),
    syncSchema: createSyncSchema(dependencies),
    mapBatch: createMapBatch(dependencies),
    load: createLoad(dependencies, backups),
    startReviews: createStartReviews(dependencies),
    countOpen: createCountOpen(dependencies),
    freezeRestream: createFreezeRestream(dependencies),
    restreamStatus: createRestreamStatus(dependencies),
    beginBackfill: createBeginBackfill(dependencies, backups),
    backfillStatus: createBackfillStatus(dependencies),
    tuneBackfill: createTuneBackfill(dependencies),
    reconcile: createReconcile(dependencies, backups),
    probeDestinations: createProbeDestinations(dependencies, backups),
    sweep: createSweep(dependencies),
  };
}
