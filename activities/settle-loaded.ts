import type { LedgerRow } from '../core/destination.ts';
import { isPipelineError } from '../core/errors.ts';
import { failpoint } from '../core/failpoints.ts';
import { hashFailures } from '../pipeline/batches/failures-hash.ts';
import { fingerprintOf } from '../pipeline/review/fingerprint.ts';
import { readBatch } from '../store/catalog/batches.ts';
import { readManifest } from '../store/catalog/extracts.ts';
import { recordedEvents } from '../store/catalog/settle-backfilled.ts';
import { settleDelivery } from '../store/catalog/settle.ts';
import type { DeliveryInput, LoadResult } from './contract.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { openExtract } from './open-extract.ts';
import { findEvents } from './staged-records.ts';

/** Closes a delivery that its destination has in full, as the ledger's row says. */
export async function settleLoaded(
  dependencies: ActivityDependencies,
  { batchId, destination }: DeliveryInput,
  row: LedgerRow,
): Promise<LoadResult> {
  const { rowsLoaded, rowsFailed } = await settleDelivery(dependencies.catalog, {
    batchId,
    destination,
    row,
    groupOf: fingerprintOf,
    hashOf: hashFailures,
    reread: await findReread(dependencies, { batchId, destination }),
  });
  await failpoint('settled');
  return { outcome: 'settled', rowsLoaded, rowsFailed };
}

/** Null: the ledger counts failed events that a catalog from an older backup lacks. */
export async function settleIfComplete(
  dependencies: ActivityDependencies,
  at: DeliveryInput,
  row: LedgerRow,
): Promise<LoadResult | null> {
  try {
    return await settleLoaded(dependencies, at, row);
  } catch (error) {
    if (isPipelineError(error, 'conflict')) return null;
    throw error;
  }
}

/** Events that failed before and that a backfill has read again. */
async function findReread(
  dependencies: ActivityDependencies,
  at: DeliveryInput,
): Promise<readonly string[]> {
  const { catalog } = dependencies;
  if (!at.batchId.startsWith('backfill/')) return [];
  const open = await recordedEvents(catalog, { ...at, state: 'open' });
  const manifest = await readManifest(catalog, at.batchId);
  if (open.length === 0 || manifest === null) return [];
  try {
    const { batch } = await readBatch(catalog, at.batchId);
    const extract = openExtract(dependencies, batch, manifest);
    const found = await findEvents(extract, new Set(open));
    return [...found.keys()];
  } catch (error) {
    // Their records stay open: a retry finds them loaded.
    if (isPipelineError(error, 'extract-lost')) return [];
    throw error;
  }
}
