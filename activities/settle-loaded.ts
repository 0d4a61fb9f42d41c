import type { LedgerRow } from '../core/destination.ts';
import { hashFailures } from '../pipeline/batches/failures-hash.ts';
import { fingerprintOf } from '../pipeline/review/fingerprint.ts';
import { settleDelivery } from '../store/catalog/settle.ts';
import type { DeliveryInput, LoadResult } from './contract.ts';
import type { ActivityDependencies } from './dependencies.ts';

/** Closes a delivery that its destination has in full, as the ledger's row says. */
export async function settleLoaded(
  { catalog }: ActivityDependencies,
  { batchId, destination }: DeliveryInput,
  row: LedgerRow,
): Promise<LoadResult> {
  const { rowsLoaded, rowsFailed } = await settleDelivery(catalog, {
    batchId,
    destination,
    row,
    groupOf: fingerprintOf,
    hashOf: hashFailures,
  });
  return { outcome: 'settled', rowsLoaded, rowsFailed };
}
