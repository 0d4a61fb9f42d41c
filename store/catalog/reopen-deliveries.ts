import type { Transaction } from './catalog.ts';
import { changeGroups } from './group-counts.ts';

export interface Reopened {
  readonly deliveries: number;
  /** Failed events that a restream had brought in, and that wait again. */
  readonly failedEvents: number;
}

interface Missing {
  readonly destination: string;
  readonly batchIds: readonly string[];
}

/**
 * Deliveries that are settled here and that their destination no longer has (it was restored from
 * an older backup): batches take the road again from what is staged, or from their source; events
 * that a restream brought in wait for review again.
 */
export async function reopenDeliveries(tx: Transaction, missing: Missing): Promise<Reopened> {
  const { rows } = await tx.query<{ batchId: string; run: string }>(
    `SELECT batch_id AS "batchId", b.run FROM millrace.batches b JOIN millrace.deliveries d USING (batch_id)
      WHERE d.destination = $1 AND d.batch_id = ANY ($2) AND d.state = 'settled'
      ORDER BY batch_id FOR UPDATE OF d`,
    [missing.destination, missing.batchIds],
  );
  const isRestream = ({ run }: { run: string }) => run.startsWith('restream/');
  const ids = (some: typeof rows) => some.map(({ batchId }) => batchId);
  const { destination } = missing;
  const batches = { destination, batchIds: ids(rows.filter((row) => !isRestream(row))) };
  await releaseClaims(tx, batches);
  await forgetFailures(tx, batches);
  await reopen(tx, batches);
  const restreams = { destination, batchIds: ids(rows.filter(isRestream)) };
  const failedEvents = await reopenRestreamed(tx, restreams);
  return { deliveries: batches.batchIds.length, failedEvents };
}

/** Running restreams of events that come again with their batch: they give back what they hold. */
async function releaseClaims(tx: Transaction, { destination, batchIds }: Missing): Promise<void> {
  const { rows } = await tx.query<{ restreamId: string }>(
    `SELECT DISTINCT restream_id AS "restreamId" FROM millrace.failure_records
      WHERE destination = $1 AND batch_id = ANY ($2) AND state = 'restreaming'`,
    [destination, batchIds],
  );
  const ids = rows.map(({ restreamId }) => restreamId);
  if (ids.length === 0) return;
  const { rows: held } = await tx.query<{ groupId: string; count: number }>(
    `WITH released AS (
       UPDATE millrace.failure_records SET state = 'open'
        WHERE restream_id = ANY ($1) AND state = 'restreaming' RETURNING group_id)
     SELECT group_id AS "groupId", count(*) AS count FROM released GROUP BY group_id`,
    [ids],
  );
  await changeGroups(
    tx,
    held.map(({ groupId, count }) => ({ groupId, open: count, restreaming: -count, total: 0 })),
  );
  await tx.query(
    `DELETE FROM millrace.batches WHERE run = ANY ($1) AND state IN ('planned', 'extracted')`,
    [ids.map((id) => `restream/${id}`)],
  );
  await tx.query(
    `UPDATE millrace.restreams SET state = 'settled', settled_at = now() WHERE restream_id = ANY ($1)`,
    [ids],
  );
}

/** They are found again when the batch is mapped and loaded again. */
async function forgetFailures(tx: Transaction, { destination, batchIds }: Missing): Promise<void> {
  const { rows } = await tx.query<{ groupId: string; open: number; total: number }>(
    `WITH gone AS (
       DELETE FROM millrace.failure_records
        WHERE destination = $1 AND batch_id = ANY ($2) RETURNING group_id, state)
     SELECT group_id AS "groupId", count(*) FILTER (WHERE state = 'open') AS open, count(*) AS total
       FROM gone WHERE group_id IS NOT NULL GROUP BY group_id`,
    [destination, batchIds],
  );
  await changeGroups(
    tx,
    rows.map(({ groupId, open, total }) => ({
      groupId,
      open: -open,
      restreaming: 0,
      total: -total,
    })),
  );
}

async function reopen(tx: Transaction, { destination, batchIds }: Missing): Promise<void> {
  await tx.query(
    `UPDATE millrace.deliveries
        SET state = 'pending', pins = NULL, settled_at = NULL, stop_kind = NULL, stop_message = NULL,
            rows_loaded = 0, rows_duplicate = 0, rows_superseded = 0, rows_failed = 0,
            rows_discarded = 0, tables = '{}'
      WHERE destination = $1 AND batch_id = ANY ($2)`,
    [destination, batchIds],
  );
  await tx.query(
    `UPDATE millrace.batches b
        SET settled_at = NULL,
            state = CASE WHEN EXISTS (SELECT FROM millrace.extracts e WHERE e.batch_id = b.batch_id)
                         THEN 'extracted' ELSE 'planned' END
      WHERE batch_id = ANY ($1)`,
    [batchIds],
  );
  await tx.query(
    `UPDATE millrace.backfills f SET state = 'running', settled_at = NULL
       FROM millrace.batches b
      WHERE b.batch_id = ANY ($1) AND b.run = 'backfill/' || f.request_id`,
    [batchIds],
  );
}

async function reopenRestreamed(
  tx: Transaction,
  { destination, batchIds }: Missing,
): Promise<number> {
  const { rows } = await tx.query<{ groupId: string; count: number }>(
    `WITH reopened AS (
       UPDATE millrace.failure_records r SET state = 'open'
         FROM millrace.batches b
        WHERE b.batch_id = ANY ($2) AND b.run = 'restream/' || r.restream_id
          AND r.destination = $1 AND r.state = 'resolved'
          AND r.restream_ordinal >= b.from_position::bigint
          AND r.restream_ordinal < b.to_position::bigint
       RETURNING r.group_id)
     SELECT group_id AS "groupId", count(*) AS count FROM reopened GROUP BY group_id`,
    [destination, batchIds],
  );
  await changeGroups(
    tx,
    rows.map(({ groupId, count }) => ({ groupId, open: count, restreaming: 0, total: 0 })),
  );
  await tx.query('DELETE FROM millrace.batches WHERE batch_id = ANY ($1)', [batchIds]);
  return rows.reduce((sum, { count }) => sum + count, 0);
}
