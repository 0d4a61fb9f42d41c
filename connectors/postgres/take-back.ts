import type pg from 'pg';
import type { LedgerClaim, LoadTable } from '../../core/destination.ts';
import type { LedgerKey } from './ledger-key.ts';
import { quoteTable } from './sql-names.ts';

/**
 * Undoes a loaded batch as far as it can be told: its rows that are there, and the ids that it took.
 * Those have the very time of its ledger row: both are the start of one transaction.
 */
export async function takeBack(
  client: pg.ClientBase,
  { installation, destination }: LedgerKey,
  { claim, tables }: { readonly claim: LedgerClaim; readonly tables: readonly LoadTable[] },
): Promise<void> {
  const { batchId, source } = claim;
  for (const table of ['event_ids', 'id_conflicts']) {
    await client.query(
      `DELETE FROM _millrace.${table} taken USING _millrace.ledger loaded
        WHERE loaded.installation = $1 AND loaded.destination = $2 AND loaded.batch_id = $3
          AND taken.source = $4 AND taken.seen_at = loaded.loaded_at`,
      [installation, destination, batchId, source],
    );
  }
  for (const table of tables) {
    await client.query(`DELETE FROM ${quoteTable(table)} WHERE _batch_id = $1`, [batchId]);
  }
}
