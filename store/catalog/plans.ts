import type { Position, PositionRange } from '../../core/positions.ts';
import type { UnreadTail } from '../../core/source.ts';
import type { Catalog, Queryable, Transaction } from './catalog.ts';
import { mayPlan } from './pauses.ts';

export interface PlannedRange extends PositionRange {
  readonly batchId: string;
}

export interface LanePlanRecord {
  readonly source: string;
  readonly lane: string;
  readonly stream?: string;
  readonly from: Position;
  readonly whole?: boolean;
  readonly memo: string;
  readonly unread?: UnreadTail | undefined;
  readonly ranges: readonly PlannedRange[];
  readonly destinations: readonly string[];
}

/**
 * Makes a plan durable: moves the lane's head over the ranges and inserts them as batches with
 * their deliveries, in one transaction, only if the head still stands where the cut began. False:
 * another planner was first, or the source is paused or held, and nothing was written. Repeating is
 * harmless, no gap can arise.
 */
export async function recordPlan(catalog: Catalog, plan: LanePlanRecord): Promise<boolean> {
  const last = plan.ranges.at(-1);
  if (!last) return false;
  return catalog.transaction(async (tx) => {
    if (!(await mayPlan(tx, plan.source))) return false;
    const { rowCount } = await tx.query(
      `UPDATE millrace.lanes SET head = $4, memo = $5, unread_bytes = $6, unread_message = $7
        WHERE source = $1 AND lane = $2 AND head = $3 AND state = 'active'
          AND NOT EXISTS (SELECT FROM millrace.source_holds h WHERE h.source = $1)`,
      [
        plan.source,
        plan.lane,
        plan.from,
        last.to,
        plan.memo,
        plan.unread?.bytes ?? null,
        plan.unread?.message ?? null,
      ],
    );
    if (rowCount === 0) return false;
    await insertBatches(tx, plan);
    await insertDeliveries(tx, plan);
    return true;
  });
}

async function insertBatches(tx: Transaction, plan: LanePlanRecord): Promise<void> {
  const { source, lane, stream, memo, ranges, whole = false } = plan;
  await tx.query(
    `INSERT INTO millrace.batches
       (batch_id, source, lane, stream, memo, whole, from_position, to_position, planned_bytes)
     SELECT batch_id, $1, $2, $3, $4, $9, from_position, to_position, bytes
       FROM unnest($5::text[], $6::text[], $7::text[], $8::bigint[])
            WITH ORDINALITY AS range(batch_id, from_position, to_position, bytes, n)
      ORDER BY n`,
    [
      source,
      lane,
      stream ?? null,
      memo,
      ranges.map(({ batchId }) => batchId),
      ranges.map(({ from }) => from),
      ranges.map(({ to }) => to),
      ranges.map(({ bytes }) => Math.round(bytes)),
      whole,
    ],
  );
}

async function insertDeliveries(tx: Transaction, { ranges, destinations }: LanePlanRecord) {
  await tx.query(
    `INSERT INTO millrace.deliveries (batch_id, destination)
     SELECT batch_id, destination FROM unnest($1::text[]) AS batch_id, unnest($2::text[]) AS destination`,
    [ranges.map(({ batchId }) => batchId), destinations],
  );
}

/**
 * Whether a full refresh of a lane is to be planned: it never was; somebody asked since; or it is
 * time again and the last one is settled. One that is planned and not read yet serves them all.
 * Time again: its schedule came round since (which starts at whole intervals since 1970), whatever
 * a sync needed to get to its plan; or, should clocks disagree, most of an interval is over.
 */
export async function isRefreshDue(
  db: Queryable,
  { source, lane, everyMs }: { source: string; lane: string; everyMs: number | undefined },
): Promise<boolean> {
  const { rows } = await db.query<{ due: boolean }>(
    `SELECT CASE
              WHEN planned THEN false
              WHEN last IS NULL THEN true
              ELSE EXISTS (SELECT FROM millrace.wanted_syncs
                            WHERE source = $1 AND requested_at > last)
                   OR (settled AND (
                        div(extract(epoch FROM last) * 1000, $3::bigint)
                          < div(extract(epoch FROM now()) * 1000, $3::bigint)
                        OR last <= now() - $3::bigint * interval '0.9 milliseconds'))
            END AS due
       FROM (SELECT max(planned_at) AS last, coalesce(bool_or(state = 'planned'), false) AS planned,
                    coalesce(bool_and(state NOT IN ('planned', 'extracted')), true) AS settled
               FROM millrace.batches WHERE run = 'live' AND source = $1 AND lane = $2) b`,
    [source, lane, everyMs ?? null],
  );
  return rows[0]?.due === true;
}
