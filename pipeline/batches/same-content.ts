import type { LedgerRow, LoadRequest } from '../../core/destination.ts';
import { PipelineError } from '../../core/errors.ts';

/**
 * The row that stands in the ledger, if it is of this batch. Where either attempt had no manifest
 * (typed road), the same range means the same batch.
 * @throws PipelineError `ledger-conflict`
 */
export function sameContent(standing: LedgerRow, { claim }: LoadRequest): LedgerRow {
  const hashes = new Set([standing.extractSha256, claim.extractSha256]);
  const sameRange = standing.from === claim.from && standing.to === claim.to;
  if (sameRange && (hashes.size === 1 || hashes.has(''))) return standing;
  throw new PipelineError(
    'ledger-conflict',
    `the destination's ledger holds batch ${claim.batchId} with other content than what was read now: compare its rows with the source; "recover" takes what is loaded for the batch, but not where events are posted; "resync" then reads the stream anew`,
  );
}
