import { PipelineError } from '../../core/errors.ts';
import type { DeliveryState } from './batches.ts';
import type { Queryable } from './catalog.ts';

export interface RunDelivery {
  readonly destination: string;
  readonly state: DeliveryState;
  readonly rowsLoaded: number;
  readonly rowsFailed: number;
  readonly rowsDuplicate: number;
  readonly stopKind: string | null;
  readonly stopMessage: string | null;
}

/** One batch as people look at it. */
export interface RunRow {
  readonly batchId: string;
  readonly planOrder: number;
  readonly run: string;
  readonly source: string;
  readonly lane: string;
  readonly stream: string | null;
  readonly from: string;
  readonly to: string;
  readonly state: string;
  readonly events: number | null;
  readonly bytes: number | null;
  readonly plannedAt: string;
  readonly settledAt: string | null;
  readonly deliveries: readonly RunDelivery[];
}

const columns = `b.batch_id AS "batchId", b.plan_order AS "planOrder", b.run, b.source, b.lane, b.stream,
  b.from_position AS "from", b.to_position AS "to", b.events, b.bytes,
  CASE WHEN b.state = 'lost' AND NOT EXISTS (SELECT FROM millrace.deliveries d
                                              WHERE d.batch_id = b.batch_id AND d.state = 'lost')
       THEN 'discarded' ELSE b.state END AS state,
  b.planned_at AS "plannedAt", b.settled_at AS "settledAt",
  (SELECT coalesce(jsonb_agg(jsonb_build_object(
            'destination', d.destination, 'state', d.state, 'rowsLoaded', d.rows_loaded,
            'rowsFailed', d.rows_failed, 'rowsDuplicate', d.rows_duplicate,
            'stopKind', d.stop_kind, 'stopMessage', d.stop_message) ORDER BY d.destination), '[]')
     FROM millrace.deliveries d WHERE d.batch_id = b.batch_id) AS deliveries`;

export interface RunFilter {
  readonly source?: string | undefined;
  readonly state?: 'open' | 'settled' | 'lost' | undefined;
  readonly limit: number;
  /** Batches planned before this one. */
  readonly before?: number | undefined;
}

/** Batches, newest first. */
export async function listRuns(db: Queryable, filter: RunFilter): Promise<readonly RunRow[]> {
  const { rows } = await db.query<RunRow>(
    `SELECT ${columns} FROM millrace.batches b
      WHERE ($1::text IS NULL OR b.source = $1)
        AND CASE $2::text WHEN 'open' THEN b.state IN ('planned', 'extracted')
                          WHEN 'settled' THEN b.state NOT IN ('planned', 'extracted')
                          WHEN 'lost' THEN EXISTS (
                            SELECT FROM millrace.deliveries d
                             WHERE d.batch_id = b.batch_id AND d.stop_kind = 'extract-lost'
                               AND d.state IN ('stopped', 'lost'))
                          ELSE true END
        AND ($3::bigint IS NULL OR b.plan_order < $3)
      ORDER BY b.plan_order DESC LIMIT $4`,
    [filter.source ?? null, filter.state ?? null, filter.before ?? null, filter.limit],
  );
  return rows;
}

/** @throws PipelineError `not-found` */
export async function readRun(db: Queryable, batchId: string): Promise<RunRow> {
  const { rows } = await db.query<RunRow>(
    `SELECT ${columns} FROM millrace.batches b WHERE b.batch_id = $1`,
    [batchId],
  );
  if (rows[0]) return rows[0];
  throw new PipelineError('not-found', `there is no batch ${batchId}: runs list shows them`);
}

export interface TableRow {
  readonly destination: string;
  readonly schema: string;
  readonly table: string;
  readonly source: string;
  readonly stream: string;
  readonly rowsLoaded: number;
  readonly openFailures: number;
}

/**
 * Every table that a mapping names, with the rows that settled deliveries brought; of a table that
 * is replaced those of its newest refresh, and what was retried of it.
 */
export async function listTables(db: Queryable): Promise<readonly TableRow[]> {
  const { rows } = await db.query<TableRow>(
    `WITH newest AS (
       SELECT DISTINCT ON (source, stream, destination) source, stream, destination,
              document -> 'table' ->> 'schema' AS schema, document -> 'table' ->> 'name' AS name,
              document ? 'replace' AS replaced
         FROM millrace.mappings ORDER BY source, stream, destination, version DESC),
     refreshed AS (
       SELECT DISTINCT ON (n.source, n.stream, n.destination)
              n.destination, n.schema || '.' || n.name AS table_name, d.settled_at
         FROM newest n
         JOIN millrace.batches b ON b.source = n.source AND b.stream = n.stream AND b.whole
         JOIN millrace.deliveries d ON d.batch_id = b.batch_id AND d.destination = n.destination
        WHERE n.replaced AND d.state = 'settled'
        ORDER BY n.source, n.stream, n.destination, b.plan_order DESC),
     loaded AS (
       SELECT d.destination, t.key AS table_name, sum(t.value::bigint) AS rows
         FROM millrace.deliveries d CROSS JOIN jsonb_each_text(d.tables) t
         LEFT JOIN refreshed r ON r.destination = d.destination AND r.table_name = t.key
        WHERE d.state = 'settled' AND (r.settled_at IS NULL OR d.settled_at >= r.settled_at)
        GROUP BY d.destination, t.key),
     failed AS (
       SELECT source, stream, destination, sum(open_count + restreaming_count) AS open
         FROM millrace.failure_groups GROUP BY source, stream, destination)
     SELECT n.destination, n.schema, n.name AS table, n.source, n.stream,
            coalesce(l.rows, 0)::bigint AS "rowsLoaded", coalesce(f.open, 0)::bigint AS "openFailures"
       FROM newest n
       LEFT JOIN loaded l ON l.destination = n.destination AND l.table_name = n.schema || '.' || n.name
       LEFT JOIN failed f ON f.source = n.source AND f.stream = n.stream AND f.destination = n.destination
      ORDER BY n.destination, n.schema, n.name`,
  );
  return rows;
}
