import type { LedgerRow } from '../../core/destination.ts';
import { must } from '../../core/errors.ts';
import { intakeChunk, intakeLane } from '../../connectors/kit/intake-source.ts';
import { firstMissingChunk } from '../../store/catalog/recoveries.ts';
import type { MendContext } from './mend-source.ts';

/** Tables are looked through for the events of a batch, without an index. */
const timeoutMs = 20 * 60_000;

/**
 * Failed events that nothing has any more must not be taken for known when they are sent again: their
 * ids are given back, before the source takes in events again. Repeating is harmless.
 */
export async function forgetLost(context: MendContext): Promise<void> {
  for (const { destination: name, unknown, unfinished } of context.findings) {
    const ledger = must(
      context.ledgers.find((one) => one.name === name),
      'the ledger',
    );
    const lost = unfinished.filter(({ rowsFailed }) => rowsFailed > 0);
    for (const row of unknown) if (await isLost(context, row)) lost.push(row);
    for (const { batchId } of lost) {
      await ledger.destination.forgetFailed(batchId, AbortSignal.timeout(timeoutMs));
    }
  }
}

/** Whether a batch that the catalog has forgotten had failed events, and its chunks are gone too. */
async function isLost(
  { tx, name, hasIntake }: MendContext,
  { batchId, lane, from, to, rowsFailed }: LedgerRow,
): Promise<boolean> {
  if (!hasIntake || lane !== intakeLane || rowsFailed === 0) return false;
  if (!batchId.startsWith(`${name}/`)) return false; // of a restream: its records are there
  const range = { source: name, from: intakeChunk(from), to: intakeChunk(to) };
  return (await firstMissingChunk(tx, range)) < range.to;
}
