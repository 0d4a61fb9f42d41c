import type { LedgerRow } from '../../core/destination.ts';
import type { Transaction } from './catalog.ts';
import {
  changeGroups,
  placeInGroups,
  type GroupChange,
  type GroupOf,
  type GroupPlace,
} from './group-counts.ts';

export interface RestreamedBatch {
  readonly batchId: string;
  readonly destination: string;
  readonly row: LedgerRow;
  readonly groupOf: GroupOf;
  readonly restreamId: string;
  /** Places of the batch's events in the restream: event i of the batch is at `from + i`. */
  readonly from: number;
  readonly to: number;
}

interface Outcome extends GroupPlace {
  readonly recordId: number;
  readonly oldGroup: string;
  readonly provisionalId: number;
}

/**
 * Writes the outcome of a restreamed batch into the records its events came from: open again
 * (perhaps in another group) or resolved. There is never a second record of one event.
 */
export async function settleRestreamed(tx: Transaction, batch: RestreamedBatch): Promise<void> {
  const failed = await failedAgain(tx, batch);
  const placed = await placeInGroups(tx, failed, batch.groupOf);
  const released = await countHeld(tx, batch);
  const changes: GroupChange[] = released.map(({ groupId, count }) => ({
    groupId,
    open: 0,
    restreaming: -count,
    total: 0,
  }));
  for (const { groupId, place } of placed) {
    changes.push({ groupId, open: 1, restreaming: 0, total: groupId === place.oldGroup ? 0 : 1 });
  }
  await changeGroups(tx, changes);
  await reopen(tx, placed);
  await resolveOthers(tx, batch);
}

async function failedAgain(tx: Transaction, batch: RestreamedBatch): Promise<readonly Outcome[]> {
  const { batchId, destination, row, restreamId, from } = batch;
  const { rows } = await tx.query<Outcome>(
    `SELECT o.record_id AS "recordId", o.group_id AS "oldGroup", p.record_id AS "provisionalId",
            p.source, p.stream, p.destination, p.stage, p.kind, p.field, p.expected, p.observed,
            p.sql_state AS "sqlState"
       FROM millrace.failure_records p
       JOIN millrace.failure_records o
         ON o.restream_id = $4 AND o.restream_ordinal = p.ordinal + $5 AND o.state = 'restreaming'
      WHERE p.batch_id = $1 AND p.destination = $2 AND p.state = 'provisional' AND p.attempt = ANY ($3)
      ORDER BY o.record_id`,
    [batchId, destination, [row.mapAttempt, row.loadAttempt], restreamId, from],
  );
  return rows;
}

async function countHeld(tx: Transaction, { restreamId, from, to }: RestreamedBatch) {
  const { rows } = await tx.query<{ groupId: string; count: number }>(
    `SELECT group_id AS "groupId", count(*) AS count FROM millrace.failure_records
      WHERE restream_id = $1 AND restream_ordinal >= $2 AND restream_ordinal < $3
        AND state = 'restreaming' GROUP BY group_id`,
    [restreamId, from, to],
  );
  return rows;
}

async function reopen(
  tx: Transaction,
  placed: readonly { groupId: string; place: Outcome }[],
): Promise<void> {
  if (placed.length === 0) return;
  const documents = placed.map(({ groupId, place: { recordId, provisionalId } }) => ({
    record_id: recordId,
    provisional_id: provisionalId,
    group_id: groupId,
  }));
  await tx.query(
    `UPDATE millrace.failure_records o
        SET state = 'open', attempts = o.attempts + 1, last_failed_at = now(), group_id = x.group_id,
            stage = p.stage, kind = p.kind, field = p.field, expected = p.expected,
            observed = p.observed, message = p.message, sql_state = p.sql_state,
            mapping_version = p.mapping_version
       FROM jsonb_to_recordset($1) AS x (record_id bigint, provisional_id bigint, group_id text)
       JOIN millrace.failure_records p ON p.record_id = x.provisional_id
      WHERE o.record_id = x.record_id`,
    [JSON.stringify(documents)],
  );
}

async function resolveOthers(tx: Transaction, { restreamId, from, to }: RestreamedBatch) {
  await tx.query(
    `UPDATE millrace.failure_records SET state = 'resolved'
      WHERE restream_id = $1 AND restream_ordinal >= $2 AND restream_ordinal < $3
        AND state = 'restreaming'`,
    [restreamId, from, to],
  );
}
