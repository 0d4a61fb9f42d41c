import type { LedgerRow } from '../../core/destination.ts';
import type { Queryable, Transaction } from './catalog.ts';
import { changeGroups, placeInGroups, type GroupOf, type GroupPlace } from './group-counts.ts';

export interface BackfilledBatch {
  readonly batchId: string;
  readonly destination: string;
  readonly row: LedgerRow;
  readonly groupOf: GroupOf;
  /** Ids of events that had an open record and are in this batch. */
  readonly reread: readonly string[];
}

/**
 * Writes what became of events that have a record already into that record, so that there is never
 * a second one: open again, or resolved where it loaded now. What is left provisional afterwards
 * are failures of events that were never seen before.
 */
export async function settleBackfilled(tx: Transaction, batch: BackfilledBatch): Promise<void> {
  await lockGroups(tx, batch);
  await resolveLoaded(tx, batch);
  await failAgain(tx, batch);
  await withdrawKnown(tx, batch);
}

const ofWinners = `p.batch_id = $1 AND p.destination = $2 AND p.state = 'provisional' AND p.attempt = ANY ($3)`;
const sameEvent = `o.source = p.source AND o.destination = p.destination AND o.event_id = p.event_id
  AND o.child = p.child AND o.state <> 'provisional'`;

function winners({ batchId, destination, row }: BackfilledBatch): readonly unknown[] {
  return [batchId, destination, [row.mapAttempt, row.loadAttempt]];
}

/** While they are held no restream takes a record of theirs. */
async function lockGroups(tx: Transaction, batch: BackfilledBatch): Promise<void> {
  await tx.query(
    `SELECT FROM millrace.failure_groups
      WHERE group_id IN (
        SELECT o.group_id FROM millrace.failure_records o
         WHERE o.source = $4 AND o.destination = $2 AND o.event_id = ANY ($5) AND o.state = 'open'
        UNION
        SELECT o.group_id FROM millrace.failure_records p
          JOIN millrace.failure_records o ON ${sameEvent}
         WHERE ${ofWinners} AND o.state = 'open')
      ORDER BY group_id FOR UPDATE`,
    [...winners(batch), batch.row.source, batch.reread],
  );
}

interface Again extends GroupPlace {
  readonly recordId: number;
  readonly oldGroup: string;
  readonly provisionalId: number;
}

async function failAgain(tx: Transaction, batch: BackfilledBatch): Promise<void> {
  const { rows } = await tx.query<Again>(
    `SELECT o.record_id AS "recordId", o.group_id AS "oldGroup", p.record_id AS "provisionalId",
            p.source, p.stream, p.destination, p.stage, p.kind, p.field, p.expected, p.observed,
            p.sql_state AS "sqlState"
       FROM millrace.failure_records p JOIN millrace.failure_records o ON ${sameEvent}
      WHERE ${ofWinners} AND o.state = 'open' ORDER BY o.record_id`,
    winners(batch),
  );
  if (rows.length === 0) return;
  const placed = await placeInGroups(tx, rows, batch.groupOf);
  await changeGroups(
    tx,
    placed.flatMap(({ groupId, place }) => [
      { groupId: place.oldGroup, open: -1, restreaming: 0, total: 0 },
      { groupId, open: 1, restreaming: 0, total: groupId === place.oldGroup ? 0 : 1 },
    ]),
  );
  const documents = placed.map(({ groupId, place: { recordId, provisionalId } }) => ({
    record_id: recordId,
    provisional_id: provisionalId,
    group_id: groupId,
  }));
  await tx.query(
    `UPDATE millrace.failure_records o
        SET attempts = o.attempts + 1, last_failed_at = now(), group_id = x.group_id,
            stage = p.stage, kind = p.kind, field = p.field, expected = p.expected,
            observed = p.observed, message = p.message, sql_state = p.sql_state,
            mapping_version = p.mapping_version
       FROM jsonb_to_recordset($1) AS x (record_id bigint, provisional_id bigint, group_id text)
       JOIN millrace.failure_records p ON p.record_id = x.provisional_id
      WHERE o.record_id = x.record_id`,
    [JSON.stringify(documents)],
  );
}

/** The record that is there stands: open, on its way, loaded since, or discarded. */
async function withdrawKnown(tx: Transaction, batch: BackfilledBatch): Promise<void> {
  await tx.query(
    `DELETE FROM millrace.failure_records p
      WHERE ${ofWinners} AND EXISTS (SELECT FROM millrace.failure_records o WHERE ${sameEvent})`,
    winners(batch),
  );
}

/** An event that fails again has no loaded twin: two events may have come with one id. */
async function resolveLoaded(tx: Transaction, batch: BackfilledBatch): Promise<void> {
  const { rows } = await tx.query<{ groupId: string; count: number }>(
    `WITH resolved AS (
       UPDATE millrace.failure_records o SET state = 'resolved'
        WHERE o.source = $4 AND o.destination = $2 AND o.event_id = ANY ($5) AND o.state = 'open'
          AND NOT EXISTS (SELECT FROM millrace.failure_records p
                           WHERE ${ofWinners} AND p.event_id = o.event_id)
       RETURNING o.group_id)
     SELECT group_id AS "groupId", count(*) AS count FROM resolved GROUP BY group_id`,
    [...winners(batch), batch.row.source, batch.reread],
  );
  if (rows.length === 0) return;
  await changeGroups(
    tx,
    rows.map(({ groupId, count }) => ({ groupId, open: -count, restreaming: 0, total: 0 })),
  );
}

/** Ids of events of the range of a backfill's batch whose record is in this state. */
export async function recordedEvents(
  db: Queryable,
  at: {
    readonly batchId: string;
    readonly destination: string;
    readonly state: 'open' | 'discarded';
  },
): Promise<readonly string[]> {
  const { rows } = await db.query<{ id: string }>(
    `SELECT DISTINCT r.event_id AS id
       FROM millrace.batches mine
       JOIN millrace.batches b ON b.source = mine.source AND b.lane = mine.lane
            AND b.from_position = mine.from_position
            AND (b.run = 'live' OR b.run LIKE 'backfill/%')
       JOIN millrace.failure_records r ON r.batch_id = b.batch_id AND r.destination = $2
      WHERE mine.batch_id = $1 AND r.state = $3`,
    [at.batchId, at.destination, at.state],
  );
  return rows.map(({ id }) => id);
}
