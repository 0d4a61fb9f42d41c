import type { LedgerRow } from '../../core/destination.ts';
import type { Transaction } from './catalog.ts';
import { changeGroups } from './group-counts.ts';

/**
 * A newer full refresh holds what older ones hold: their failed events are resolved, also those of
 * one that settles late. A restream that has some of them finds out when it loads.
 */
export async function resolveOvertaken(
  tx: Transaction,
  { destination, row }: { readonly destination: string; readonly row: LedgerRow },
): Promise<void> {
  const { rows } = await tx.query<{ groupId: string; count: number }>(
    `WITH newest AS (
       SELECT max(b.to_position COLLATE "C") AS "end"
         FROM millrace.batches b JOIN millrace.deliveries d USING (batch_id)
        WHERE b.run = 'live' AND b.source = $1 AND b.lane = $2 AND d.destination = $3
          AND d.state = 'settled'),
     resolved AS (
       UPDATE millrace.failure_records r SET state = 'resolved'
         FROM millrace.batches b, newest
        WHERE r.batch_id = b.batch_id AND r.destination = $3 AND r.state = 'open'
          AND b.run = 'live' AND b.source = $1 AND b.lane = $2
          AND b.to_position COLLATE "C" < newest."end"
       RETURNING r.group_id)
     SELECT group_id AS "groupId", count(*) AS count FROM resolved GROUP BY group_id`,
    [row.source, row.lane, destination],
  );
  if (rows.length === 0) return;
  await changeGroups(
    tx,
    rows.map(({ groupId, count }) => ({ groupId, open: -count, restreaming: 0, total: 0 })),
  );
}
