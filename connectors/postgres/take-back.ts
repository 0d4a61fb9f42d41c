import type pg from 'pg';
import type { LedgerClaim, LoadTable } from '../../core/destination.ts';
import type { TableName } from '../../core/mapping.ts';
import type { LedgerKey } from './ledger-key.ts';
import { quoteTable } from './sql-names.ts';

/** What a batch took has the very time of its ledger row: both are the start of one transaction. */
const takenByBatch = `USING _millrace.ledger loaded
  WHERE loaded.installation = $1 AND loaded.destination = $2 AND loaded.batch_id = $3
    AND taken.source = loaded.source AND taken.seen_at = loaded.loaded_at`;

/** Undoes a loaded batch as far as it can be told: its rows that are there, the ids that it took. */
export async function takeBack(
  client: pg.ClientBase,
  { installation, destination }: LedgerKey,
  { claim, tables }: { readonly claim: LedgerClaim; readonly tables: readonly LoadTable[] },
): Promise<void> {
  const batch = [installation, destination, claim.batchId];
  await client.query(`DELETE FROM _millrace.event_ids taken ${takenByBatch}`, batch);
  await client.query(`DELETE FROM _millrace.id_conflicts taken ${takenByBatch}`, batch);
  for (const table of tables) {
    await client.query(`DELETE FROM ${quoteTable(table)} WHERE _batch_id = $1`, [claim.batchId]);
  }
}

/**
 * Gives back the ids that a loaded batch took for events which are in none of its tables. None where
 * one of those merges: a newer row takes the place of an older one and its id, so that an event which
 * is absent may have been loaded, and would come back as the newest.
 */
export async function forgetFailed(
  client: pg.ClientBase,
  { installation, destination }: LedgerKey,
  batchId: string,
): Promise<void> {
  const batch = [installation, destination, batchId];
  await client.query(`DELETE FROM _millrace.id_conflicts taken ${takenByBatch}`, batch);
  const tables = await standingTables(client, batch);
  if (tables.some(({ merges }) => merges)) return;
  const absent = tables.map(
    (table) =>
      `AND NOT EXISTS (SELECT FROM ${quoteTable(table)} present
                        WHERE present._event_id = taken.event_id)`,
  );
  await client.query(
    `DELETE FROM _millrace.event_ids taken ${takenByBatch} ${absent.join(' ')}`,
    batch,
  );
}

interface StandingTable extends TableName {
  readonly merges: boolean;
}

/** Tables that a batch has rows in and that are still there. */
async function standingTables(
  client: pg.ClientBase,
  batch: readonly string[],
): Promise<readonly StandingTable[]> {
  const { rows } = await client.query<{ schema: string; name: string; merges: boolean }>(
    `SELECT n.nspname AS schema, c.relname AS name,
            EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid
                       AND a.attname = '_version' AND NOT a.attisdropped) AS merges
       FROM _millrace.ledger loaded CROSS JOIN jsonb_object_keys(loaded.tables) AS key
       JOIN pg_namespace n ON starts_with(key, n.nspname || '.')
       JOIN pg_class c ON c.relnamespace = n.oid AND n.nspname || '.' || c.relname = key
      WHERE loaded.installation = $1 AND loaded.destination = $2 AND loaded.batch_id = $3
        AND c.relkind IN ('r', 'p')`,
    [...batch],
  );
  return rows;
}
