import type { LedgerRow } from '../../core/destination.ts';
import type { Catalog } from './catalog.ts';

/** What these attempts met, but for events of which one of them says that they came before. */
const found = `r.batch_id = $1 AND r.destination = $2 AND r.state = 'provisional'
  AND r.attempt = ANY ($3)
  AND NOT EXISTS (SELECT FROM millrace.resent_failures s
                   WHERE s.batch_id = $1 AND s.destination = $2 AND s.attempt = ANY ($3)
                     AND s.ordinal = r.ordinal)`;

/**
 * Puts the records of these attempts in the place of those that the ledger names, which a restored
 * catalog lacks: if they are of the same events. Answers whether they are.
 */
export async function adoptFailures(
  catalog: Catalog,
  at: {
    readonly batchId: string;
    readonly destination: string;
    readonly row: LedgerRow;
    readonly attempts: readonly string[];
    readonly hashOf: (places: readonly { ordinal: number; child: number }[]) => string;
  },
): Promise<boolean> {
  const { batchId, destination, row, attempts, hashOf } = at;
  return catalog.transaction(async (tx) => {
    await tx.query(
      'SELECT FROM millrace.deliveries WHERE batch_id = $1 AND destination = $2 FOR UPDATE',
      [batchId, destination],
    );
    const { rows } = await tx.query<{ ordinal: number; child: number }>(
      `SELECT DISTINCT ordinal, child FROM millrace.failure_records r WHERE ${found}`,
      [batchId, destination, attempts],
    );
    if (rows.length !== row.rowsFailed || hashOf(rows) !== row.failedSha256) return false;
    await tx.query(
      `DELETE FROM millrace.failure_records r
        WHERE batch_id = $1 AND destination = $2 AND state = 'provisional' AND NOT (${found})`,
      [batchId, destination, attempts],
    );
    await tx.query(`UPDATE millrace.failure_records r SET attempt = $4 WHERE ${found}`, [
      batchId,
      destination,
      attempts,
      row.mapAttempt,
    ]);
    return true;
  });
}
