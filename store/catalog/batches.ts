import { must, PipelineError } from '../../core/errors.ts';
import type { Position, RunId } from '../../core/positions.ts';
import type { Catalog, Queryable } from './catalog.ts';
import { recordDecision } from './decisions.ts';

export interface BatchRow {
  readonly batchId: string;
  readonly run: RunId;
  readonly source: string;
  readonly lane: string;
  readonly stream: string | null;
  readonly from: Position;
  readonly to: Position;
  /** A full refresh of its lane. */
  readonly whole: boolean;
  readonly memo: string;
  readonly plannedBytes: number;
  readonly state: 'planned' | 'extracted' | 'settled' | 'lost';
  readonly events: number | null;
  /** How it gets into its destinations, once that is chosen. */
  readonly road: 'staged' | 'typed' | null;
}

export type DeliveryState = 'pending' | 'waiting' | 'stopped' | 'settled' | 'lost' | 'discarded';

export interface DeliveryRow {
  readonly batchId: string;
  readonly destination: string;
  readonly state: DeliveryState;
  readonly pins: Record<string, number> | null;
  readonly rowsLoaded: number;
  readonly rowsFailed: number;
}

/** @throws PipelineError `not-found` */
export async function readBatch(
  db: Queryable,
  batchId: string,
): Promise<{ batch: BatchRow; deliveries: readonly DeliveryRow[] }> {
  const { rows } = await db.query<BatchRow>(
    `SELECT batch_id AS "batchId", run, source, lane, stream, from_position AS "from", to_position AS "to",
            whole, memo, planned_bytes AS "plannedBytes", state, events, road
       FROM millrace.batches WHERE batch_id = $1`,
    [batchId],
  );
  const batch = rows[0];
  if (!batch)
    throw new PipelineError('not-found', `there is no batch ${batchId}: runs list shows them`);
  const { rows: deliveries } = await db.query<DeliveryRow>(
    `SELECT batch_id AS "batchId", destination, state, pins,
            rows_loaded AS "rowsLoaded", rows_failed AS "rowsFailed"
       FROM millrace.deliveries WHERE batch_id = $1 ORDER BY destination`,
    [batchId],
  );
  return { batch, deliveries };
}

export interface RunnableRow {
  readonly batchId: string;
  readonly source: string;
  readonly lane: string;
  readonly stream: string | null;
  readonly plannedBytes: number;
  /** Whose window the batch is in. */
  readonly destinations: readonly string[];
}

/**
 * Batches of a source (live ones, unless a run is named) that should be on their way, oldest first:
 * of every destination its oldest pending deliveries, as many as its window holds, so that a
 * destination that stands still stops no other. While a stream has no columns yet in a destination,
 * only its oldest delivery there is listed: the first batch fixes the types. A backfill waits for a
 * live delivery of its range that was reopened (a restored backup): that one inserts without looking.
 */
export async function listRunnable(
  db: Queryable,
  {
    source,
    window,
    run = 'live',
  }: { readonly source: string; readonly window: number; readonly run?: RunId },
): Promise<readonly RunnableRow[]> {
  const { rows } = await db.query<RunnableRow>(
    `WITH open AS (
       SELECT b.batch_id, b.plan_order, b.stream, d.destination,
              row_number() OVER (PARTITION BY d.destination, b.stream ORDER BY b.plan_order) AS place
         FROM millrace.batches b
         JOIN millrace.deliveries d USING (batch_id)
         JOIN millrace.lanes l USING (source, lane)
        WHERE b.source = $1 AND b.run = $3 AND b.state IN ('planned', 'extracted')
          AND d.state = 'pending' AND l.stop_kind IS DISTINCT FROM 'ledger-conflict'
          AND (b.run = 'live' OR NOT EXISTS (
            SELECT FROM millrace.batches live JOIN millrace.deliveries first USING (batch_id)
             WHERE live.run = 'live' AND live.source = b.source AND live.lane = b.lane
               AND live.from_position = b.from_position
               AND first.destination = d.destination AND first.state <> 'settled'))),
     ready AS (
       SELECT batch_id, destination,
              row_number() OVER (PARTITION BY destination ORDER BY plan_order) AS place
         FROM open
        WHERE place = 1 OR EXISTS (
              SELECT FROM millrace.mappings m
               WHERE m.source = $1 AND m.destination = open.destination
                 AND (m.stream = open.stream OR open.stream IS NULL)))
     SELECT b.batch_id AS "batchId", b.source, b.lane, b.stream, b.planned_bytes AS "plannedBytes",
            array_agg(r.destination ORDER BY r.destination) AS destinations
       FROM ready r JOIN millrace.batches b USING (batch_id)
      WHERE r.place <= $2
      GROUP BY b.batch_id ORDER BY b.plan_order`,
    [source, window, run],
  );
  return rows;
}

export interface OpenCounts {
  readonly pending: number;
  readonly waiting: number;
  readonly stopped: number;
  readonly lost: number;
  readonly openFailures: number;
  readonly restreaming: number;
}

export interface OpenOf {
  readonly sources: readonly string[] | 'all';
  /** Of deliveries on their way only those that were planned by then; see `readClock`. */
  readonly until?: string | undefined;
}

/** The clock that batches are planned by, to the microsecond. */
export async function readClock(db: Queryable): Promise<string> {
  const { rows } = await db.query<{ now: string }>(
    `SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS now`,
  );
  return must(rows[0]).now;
}

/**
 * What is not settled yet, of some sources or of all, and the failed events that wait. Of some
 * sources without their backfills, which take their time.
 */
export async function countOpen(db: Queryable, { sources, until }: OpenOf): Promise<OpenCounts> {
  const chosen = sources === 'all' ? null : sources;
  const { rows } = await db.query<OpenCounts>(
    `SELECT d.*, f.* FROM
       (SELECT count(*) FILTER (WHERE d.state = 'pending'
                    AND ($2::timestamptz IS NULL OR b.planned_at <= $2)) AS pending,
               count(*) FILTER (WHERE d.state = 'waiting') AS waiting,
               count(*) FILTER (WHERE d.state = 'stopped') AS stopped,
               count(*) FILTER (WHERE d.state = 'lost') AS lost
          FROM millrace.deliveries d JOIN millrace.batches b USING (batch_id)
         WHERE d.state NOT IN ('settled', 'discarded')
           AND ($1::text[] IS NULL OR (b.source = ANY ($1) AND b.run NOT LIKE 'backfill/%'))) d,
       (SELECT coalesce(sum(open_count), 0)::bigint AS "openFailures",
               coalesce(sum(restreaming_count), 0)::bigint AS restreaming
          FROM millrace.failure_groups
         WHERE open_count + restreaming_count > 0 AND ($1::text[] IS NULL OR source = ANY ($1))) f`,
    [chosen, until ?? null],
  );
  return (
    rows[0] ?? { pending: 0, waiting: 0, stopped: 0, lost: 0, openFailures: 0, restreaming: 0 }
  );
}

/** Sources with live batches that should run. */
export async function sourcesWithWork(db: Queryable): Promise<readonly string[]> {
  const { rows } = await db.query<{ source: string }>(
    `SELECT DISTINCT b.source FROM millrace.batches b JOIN millrace.deliveries d USING (batch_id)
      WHERE b.run = 'live' AND b.state IN ('planned', 'extracted') AND d.state = 'pending'`,
  );
  return rows.map(({ source }) => source);
}

/** Live batches whose range was gone when they needed it and that nobody gave up, oldest first. */
export async function listLost(
  db: Queryable,
  { source, limit }: { readonly source: string; readonly limit: number },
): Promise<
  readonly Pick<BatchRow, 'batchId' | 'lane' | 'from' | 'to' | 'memo' | 'plannedBytes'>[]
> {
  const { rows } = await db.query<BatchRow>(
    `SELECT batch_id AS "batchId", lane, from_position AS "from", to_position AS "to", memo,
            planned_bytes AS "plannedBytes"
       FROM millrace.batches b
      WHERE source = $1 AND run = 'live' AND state = 'lost'
        AND EXISTS (SELECT FROM millrace.deliveries d WHERE d.batch_id = b.batch_id AND d.state = 'lost')
      ORDER BY plan_order LIMIT $2`,
    [source, limit],
  );
  return rows;
}

/** The range of a batch is gone from its source before it was read. Nothing if it was read. */
export async function markBatchLost(
  catalog: Catalog,
  { batchId, message }: { readonly batchId: string; readonly message: string },
): Promise<void> {
  await catalog.transaction(async (tx) => {
    const { rowCount } = await tx.query(
      `UPDATE millrace.batches SET state = 'lost', settled_at = now()
        WHERE batch_id = $1 AND state = 'planned'`,
      [batchId],
    );
    if (rowCount === 0) return;
    await tx.query(
      `UPDATE millrace.deliveries SET state = 'lost', stop_kind = 'extract-lost', stop_message = $2
        WHERE batch_id = $1 AND state <> 'settled'`,
      [batchId, message],
    );
    await recordDecision(tx, { author: 'millrace', action: 'lost', subject: batchId });
  });
}
