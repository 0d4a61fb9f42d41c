import type pg from 'pg';
import type { LedgerClaim, LedgerCounts, LedgerRow } from '../../core/destination.ts';
import { must } from '../../core/errors.ts';
import { createEventIds } from './event-ids.ts';
import type { LedgerKey } from './ledger-key.ts';
import { createSchemaChanges } from './schema-changes.ts';

const createLedger = `
  CREATE SCHEMA IF NOT EXISTS _millrace;
  CREATE TABLE IF NOT EXISTS _millrace.ledger (
    installation text NOT NULL,
    destination text NOT NULL,
    batch_id text NOT NULL,
    source text NOT NULL,
    lane text NOT NULL,
    from_position text NOT NULL,
    to_position text NOT NULL,
    extract_sha256 text NOT NULL,
    map_attempt text NOT NULL,
    load_attempt text NOT NULL,
    rows_loaded bigint NOT NULL DEFAULT 0,
    rows_duplicate bigint NOT NULL DEFAULT 0,
    rows_superseded bigint NOT NULL DEFAULT 0,
    rows_failed bigint NOT NULL DEFAULT 0,
    failed_sha256 text NOT NULL DEFAULT '',
    rows_discarded bigint NOT NULL DEFAULT 0,
    tables jsonb NOT NULL DEFAULT '{}',
    mapping_versions jsonb NOT NULL DEFAULT '{}',
    loaded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (installation, destination, batch_id)
  );
  CREATE INDEX IF NOT EXISTS ledger_lanes ON _millrace.ledger
    (installation, destination, source, lane, to_position COLLATE "C")
    WHERE starts_with(batch_id, source || '/');`;

/** Creates the ledger if it is absent; two at once do no harm. */
export async function prepareLedger(client: pg.ClientBase): Promise<void> {
  const { rows } = await client.query<{ found: boolean }>(
    `SELECT to_regclass('_millrace.ledger_lanes') IS NOT NULL
        AND to_regclass('_millrace.event_ids') IS NOT NULL
        AND to_regclass('_millrace.id_conflicts') IS NOT NULL
        AND to_regclass('_millrace.schema_changes') IS NOT NULL AS found`,
  );
  if (rows[0]?.found) return;
  await client.query('BEGIN ISOLATION LEVEL READ COMMITTED');
  await client.query(`SELECT pg_advisory_xact_lock(hashtextextended('millrace ledger', 0))`);
  await client.query(createLedger);
  await client.query(createEventIds);
  await client.query(createSchemaChanges);
  await client.query('COMMIT');
}

export const ledgerColumns = `batch_id AS "batchId", source, lane, from_position AS "from", to_position AS "to",
  extract_sha256 AS "extractSha256", map_attempt AS "mapAttempt", load_attempt AS "loadAttempt",
  rows_loaded AS "rowsLoaded", rows_duplicate AS "rowsDuplicate", rows_superseded AS "rowsSuperseded",
  rows_failed AS "rowsFailed", rows_discarded AS "rowsDiscarded", failed_sha256 AS "failedSha256",
  tables, mapping_versions AS "mappingVersions", loaded_at AS "loadedAt"`;

export async function selectLedger(
  client: pg.ClientBase,
  { installation, destination }: LedgerKey,
  batchIds: readonly string[],
): Promise<LedgerRow[]> {
  const { rows } = await client.query<LedgerRow>(
    `SELECT ${ledgerColumns} FROM _millrace.ledger
      WHERE installation = $1 AND destination = $2 AND batch_id = ANY ($3)`,
    [installation, destination, batchIds],
  );
  return rows;
}

/** The furthest end of the ranges of a lane, one batch left out. */
export async function selectNewest(
  client: pg.ClientBase,
  { installation, destination }: LedgerKey,
  { source, lane, batchId }: Pick<LedgerClaim, 'source' | 'lane' | 'batchId'>,
): Promise<string | null> {
  const { rows } = await client.query<{ newest: string | null }>(
    `SELECT max(to_position COLLATE "C") AS newest FROM _millrace.ledger
      WHERE installation = $1 AND destination = $2 AND source = $3 AND lane = $4 AND batch_id <> $5`,
    [installation, destination, source, lane, batchId],
  );
  return rows[0]?.newest ?? null;
}

/** Inserts the row; false when the batch has one already. */
export async function insertLedger(
  client: pg.ClientBase,
  { installation, destination }: LedgerKey,
  claim: LedgerClaim,
): Promise<boolean> {
  const { rowCount } = await client.query(
    `INSERT INTO _millrace.ledger (installation, destination, batch_id, source, lane, from_position,
       to_position, extract_sha256, map_attempt, load_attempt, mapping_versions)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING`,
    [
      installation,
      destination,
      claim.batchId,
      claim.source,
      claim.lane,
      claim.from,
      claim.to,
      claim.extractSha256,
      claim.mapAttempt,
      claim.loadAttempt,
      JSON.stringify(claim.mappingVersions),
    ],
  );
  return rowCount === 1;
}

export async function completeLedger(
  client: pg.ClientBase,
  { installation, destination, batchId }: LedgerKey & { readonly batchId: string },
  counts: LedgerCounts,
): Promise<LedgerRow> {
  const { rows } = await client.query<LedgerRow>(
    `UPDATE _millrace.ledger
        SET rows_loaded = $4, rows_duplicate = $5, rows_superseded = $6, rows_failed = $7,
            rows_discarded = $8, failed_sha256 = $9, tables = $10
      WHERE installation = $1 AND destination = $2 AND batch_id = $3 RETURNING ${ledgerColumns}`,
    [
      installation,
      destination,
      batchId,
      counts.rowsLoaded,
      counts.rowsDuplicate,
      counts.rowsSuperseded,
      counts.rowsFailed,
      counts.rowsDiscarded,
      counts.failedSha256,
      JSON.stringify(counts.tables),
    ],
  );
  return must(rows[0], 'the ledger row of this batch');
}

/**
 * Another installation that loaded this table, or null. Looks at both sides of our own id, so that
 * the index answers at once where there is no other.
 */
export async function foreignOwner(
  client: pg.ClientBase,
  { installation }: LedgerKey,
  table: string,
): Promise<string | null> {
  const { rows } = await client.query<{ installation: string }>(
    `(SELECT installation FROM _millrace.ledger
       WHERE installation < $1 AND jsonb_exists(tables, $2) LIMIT 1)
     UNION ALL
     (SELECT installation FROM _millrace.ledger
       WHERE installation > $1 AND jsonb_exists(tables, $2) LIMIT 1)
     LIMIT 1`,
    [installation, table],
  );
  return rows[0]?.installation ?? null;
}
