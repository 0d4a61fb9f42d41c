import { PipelineError } from '../../core/errors.ts';
import type { DeliveryState } from './batches.ts';
import type { Catalog, Transaction } from './catalog.ts';
import { recordDecision } from './decisions.ts';

export interface DiscardOrder {
  readonly batchId: string;
  readonly author: string;
  readonly why: string;
}

export interface Discarded {
  /** Whose deliveries were discarded now; none: all were before. */
  readonly destinations: readonly string[];
  /** Null: the batch was never read. */
  readonly events: number | null;
  readonly bytes: number;
}

interface Delivery {
  readonly destination: string;
  readonly state: DeliveryState;
  readonly stopKind: string | null;
}

/**
 * A person gives up what the source of a batch has lost, with a line in the audit. Nothing reads it
 * again; should a late attempt load it all the same, settling says so: the ledger decides.
 * Repeating is harmless.
 * @throws PipelineError `not-found`; `conflict` unless all that is not settled is lost.
 */
export async function discardLost(catalog: Catalog, order: DiscardOrder): Promise<Discarded> {
  return catalog.transaction(async (tx) => {
    const { deliveries, events, bytes } = await readLocked(tx, order.batchId);
    const open = deliveries.find((delivery) => !isLost(delivery) && !isOver(delivery));
    if (open) throw refusal(order.batchId, `that to ${open.destination} is ${open.state}`);
    const lost = deliveries.filter(isLost).map(({ destination }) => destination);
    const found = { destinations: lost, events, bytes };
    if (lost.length > 0) await discard(tx, order, found);
    else if (deliveries.every(({ state }) => state === 'settled')) {
      throw refusal(order.batchId, 'all are settled');
    }
    return found;
  });
}

function isLost({ state, stopKind }: Delivery): boolean {
  return state === 'lost' || (state === 'stopped' && stopKind === 'extract-lost');
}

function isOver({ state }: Delivery): boolean {
  return state === 'settled' || state === 'discarded';
}

function refusal(batchId: string, because: string): PipelineError {
  return new PipelineError(
    'conflict',
    `batch ${batchId} is not discarded: only deliveries that their source has lost can be, and ${because}`,
  );
}

async function readLocked(tx: Transaction, batchId: string) {
  const { rows: deliveries } = await tx.query<Delivery>(
    `SELECT destination, state, stop_kind AS "stopKind" FROM millrace.deliveries
      WHERE batch_id = $1 ORDER BY destination FOR UPDATE`,
    [batchId],
  );
  const { rows } = await tx.query<{ run: string; events: number | null; bytes: number }>(
    `SELECT run, events, planned_bytes AS bytes FROM millrace.batches WHERE batch_id = $1`,
    [batchId],
  );
  const batch = rows[0];
  if (!batch) {
    throw new PipelineError('not-found', `there is no batch ${batchId}: runs list shows them`);
  }
  if (batch.run.startsWith('restream/')) {
    throw refusal(batchId, 'it is part of a restream, whose events the catalog keeps');
  }
  return { deliveries, ...batch };
}

async function discard(
  tx: Transaction,
  { batchId, author, why }: DiscardOrder,
  { destinations, events, bytes }: Discarded,
): Promise<void> {
  await tx.query(
    `UPDATE millrace.deliveries
        SET state = 'discarded', settled_at = now(), rows_discarded = $3,
            stop_message = concat_ws('; ', stop_message, 'discarded: ' || $4)
      WHERE batch_id = $1 AND destination = ANY ($2)`,
    [batchId, destinations, events ?? 0, why],
  );
  await tx.query(
    `UPDATE millrace.batches b SET settled_at = coalesce(settled_at, now()),
            state = CASE WHEN EXISTS (SELECT FROM millrace.deliveries d
                                       WHERE d.batch_id = b.batch_id AND d.state = 'settled')
                         THEN 'settled' ELSE 'lost' END
      WHERE batch_id = $1`,
    [batchId],
  );
  const details = {
    why,
    deliveries: destinations.length,
    bytes,
    ...(events !== null && { events }),
  };
  await recordDecision(tx, { author, action: 'discard-lost', subject: batchId, details });
}
