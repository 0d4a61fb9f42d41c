import { PipelineError } from '../../core/errors.ts';
import type { Position } from '../../core/positions.ts';
import type { Catalog, Queryable, Transaction } from './catalog.ts';
import { recordDecision } from './decisions.ts';
import { mayPlan } from './pauses.ts';
import { readHold } from './source-holds.ts';

export interface BackfillRequest {
  readonly requestId: string;
  readonly source: string;
  /** Null: every stream. */
  readonly stream: string | null;
  /** Null: every lane. */
  readonly lane: string | null;
  readonly fromAsked: string | null;
  readonly toAsked: string | null;
}

export interface BackfillPlan extends BackfillRequest {
  readonly concurrency: number;
  readonly author: string;
  readonly destinations: readonly string[];
  /** What of each lane is to be read again. */
  readonly windows: readonly {
    readonly lane: string;
    readonly from?: Position;
    readonly to?: Position;
  }[];
  readonly batchIdOf: (range: {
    readonly lane: string;
    readonly from: Position;
    readonly to: Position;
  }) => string;
}

export interface BackfillRow extends BackfillRequest {
  readonly state: 'running' | 'settled';
  readonly paused: boolean;
  readonly concurrency: number;
  readonly requestedBy: string;
  readonly createdAt: string;
  readonly settledAt: string | null;
}

/** A settled live batch that is to be read again, for these destinations. */
interface Twin {
  readonly lane: string;
  readonly stream: string | null;
  readonly from: Position;
  readonly to: Position;
  readonly memo: string;
  readonly plannedBytes: number;
  readonly destinations: readonly string[];
}

const columns = `request_id AS "requestId", source, stream, lane, from_asked AS "fromAsked",
  to_asked AS "toAsked", state, paused, concurrency, requested_by AS "requestedBy",
  created_at AS "createdAt", settled_at AS "settledAt"`;

/**
 * Plans a backfill, in one transaction: the live ranges that reach into its windows, as they were
 * cut, up to the first that is not settled. A destination whose live delivery of a range is not
 * settled is left out: that delivery inserts without looking. The same request again changes
 * nothing. Answers how many batches it has.
 * @throws PipelineError `conflict`, `not-found`: nothing was written
 */
export async function planBackfill(catalog: Catalog, plan: BackfillPlan): Promise<number> {
  return catalog.transaction(async (tx) => {
    const known = await findBackfill(tx, plan.requestId);
    if (known) {
      refuseAnother(known, plan);
      return countBatches(tx, plan.requestId);
    }
    if (!(await mayPlan(tx, plan.source))) {
      throw new PipelineError('conflict', 'the pipeline is paused: resume it, then ask again');
    }
    const hold = await readHold(tx, plan.source);
    if (hold) throw new PipelineError('conflict', hold.message);
    await refuseUnknownStream(tx, plan);
    const twins = await findTwins(tx, plan);
    if (twins.length === 0) throw await nothingToRead(tx, plan);
    await insertRequest(tx, plan);
    await insertBatches(tx, plan, twins);
    const { author, requestId: backfill, source, stream } = plan;
    const subject = stream === null ? source : `${source}.${stream}`;
    const details = { backfill, batches: twins.length };
    await recordDecision(tx, { author, action: 'backfill', subject, details });
    return twins.length;
  });
}

export async function findBackfill(db: Queryable, requestId: string): Promise<BackfillRow | null> {
  const { rows } = await db.query<BackfillRow>(
    `SELECT ${columns} FROM millrace.backfills WHERE request_id = $1`,
    [requestId],
  );
  return rows[0] ?? null;
}

/** @throws PipelineError `not-found` */
export async function readBackfill(db: Queryable, requestId: string): Promise<BackfillRow> {
  const row = await findBackfill(db, requestId);
  if (row) return row;
  throw new PipelineError('not-found', `there is no backfill ${requestId}`);
}

function refuseAnother(known: BackfillRow, plan: BackfillPlan): void {
  const same = (['source', 'stream', 'lane', 'fromAsked', 'toAsked'] as const).every(
    (part) => known[part] === plan[part],
  );
  if (same) return;
  throw new PipelineError(
    'conflict',
    `backfill ${plan.requestId} was asked for with other settings: give this one another name`,
  );
}

async function countBatches(db: Queryable, requestId: string): Promise<number> {
  const { rows } = await db.query<{ count: number }>(
    `SELECT count(*) AS count FROM millrace.batches WHERE run = 'backfill/' || $1`,
    [requestId],
  );
  return rows[0]?.count ?? 0;
}

async function findTwins(tx: Transaction, plan: BackfillPlan): Promise<readonly Twin[]> {
  const { rows } = await tx.query<Twin>(
    `WITH open AS (
       SELECT lane, min(plan_order) AS first FROM millrace.batches
        WHERE run = 'live' AND source = $1 AND state IN ('planned', 'extracted') GROUP BY lane)
     SELECT b.lane, b.stream, b.from_position AS "from", b.to_position AS "to", b.memo,
            b.planned_bytes AS "plannedBytes", d.destinations
       FROM millrace.batches b
       JOIN jsonb_to_recordset($3) AS w (lane text, "from" text, "to" text) ON w.lane = b.lane
       LEFT JOIN open ON open.lane = b.lane
       CROSS JOIN LATERAL (
         SELECT coalesce(array_agg(name ORDER BY name), '{}') AS destinations
           FROM unnest($4::text[]) AS name
          WHERE NOT EXISTS (SELECT FROM millrace.deliveries d
                             WHERE d.batch_id = b.batch_id AND d.destination = name
                               AND d.state <> 'settled')) d
      WHERE b.run = 'live' AND b.source = $1 AND b.state = 'settled' AND NOT b.whole
        AND (open.first IS NULL OR b.plan_order < open.first)
        AND ($2::text IS NULL OR b.stream IS NULL OR b.stream = $2)
        AND (w."from" IS NULL OR b.to_position COLLATE "C" > w."from")
        AND (w."to" IS NULL OR b.from_position COLLATE "C" < w."to")
        AND d.destinations <> '{}'
      ORDER BY b.plan_order`,
    [plan.source, plan.stream, JSON.stringify(plan.windows), plan.destinations],
  );
  return rows;
}

/** Where a lane holds several streams any name would read all of it, and find nothing. */
async function refuseUnknownStream(tx: Transaction, { source, stream }: BackfillPlan) {
  if (stream === null) return;
  const { rows } = await tx.query<{ stream: string }>(
    `SELECT stream FROM millrace.mappings WHERE source = $1
     UNION SELECT stream FROM millrace.batches WHERE source = $1 AND stream IS NOT NULL
     UNION SELECT stream FROM millrace.failure_groups WHERE source = $1 AND stream <> '*' ORDER BY stream`,
    [source],
  );
  const known = rows.map((row) => row.stream);
  if (known.includes(stream)) return;
  const list = known.slice(0, listedStreams).join(', ') || 'none yet';
  throw new PipelineError('not-found', `${source} has no stream ${stream} (streams: ${list})`);
}

const listedStreams = 20;

async function nothingToRead(tx: Transaction, plan: BackfillPlan): Promise<PipelineError> {
  const { source, stream, lane } = plan;
  const { rows } = await tx.query<{ stream: string; whole: boolean; lanes: string[] }>(
    `SELECT stream, bool_or(whole) AS whole, array_agg(DISTINCT lane) AS lanes
       FROM millrace.batches
      WHERE run = 'live' AND source = $1 AND stream IS NOT NULL GROUP BY stream ORDER BY stream`,
    [source],
  );
  const asked = rows.find((row) => row.stream === stream || (lane && row.lanes.includes(lane)));
  if (asked?.whole) {
    const message = `${source}.${asked.stream} is read as a whole by every sync, it has no parts: run sync`;
    return new PipelineError('invalid-request', message);
  }
  const known = rows.map((row) => row.stream).join(', ') || 'none';
  const what = stream === null ? source : `${source}.${stream}`;
  return new PipelineError(
    'not-found',
    `nothing of ${what} that was asked for is loaded yet: there is nothing to read again (streams: ${known})`,
  );
}

/** Streams of a source that every sync reads as a whole, and whether it has others. */
export async function wholeStreams(
  db: Queryable,
  source: string,
): Promise<{ readonly whole: readonly string[]; readonly hasOthers: boolean }> {
  const { rows } = await db.query<{ stream: string; whole: boolean }>(
    `SELECT coalesce(stream, '') AS stream, bool_or(whole) AS whole FROM millrace.batches
      WHERE run = 'live' AND source = $1 GROUP BY stream ORDER BY stream`,
    [source],
  );
  const whole = rows.filter((row) => row.whole).map(({ stream }) => stream);
  return { whole, hasOthers: whole.length < rows.length };
}

async function insertRequest(tx: Transaction, plan: BackfillPlan): Promise<void> {
  await tx.query(
    `INSERT INTO millrace.backfills
       (request_id, source, stream, lane, from_asked, to_asked, concurrency, requested_by)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
    [
      plan.requestId,
      plan.source,
      plan.stream,
      plan.lane,
      plan.fromAsked,
      plan.toAsked,
      plan.concurrency,
      plan.author,
    ],
  );
}

async function insertBatches(
  tx: Transaction,
  { requestId, source, stream, batchIdOf }: BackfillPlan,
  twins: readonly Twin[],
): Promise<void> {
  const batches = twins.map((twin) => ({
    batch_id: batchIdOf(twin),
    lane: twin.lane,
    stream: stream ?? twin.stream,
    from_position: twin.from,
    to_position: twin.to,
    memo: twin.memo,
    planned_bytes: twin.plannedBytes,
    destinations: twin.destinations,
  }));
  await tx.query(
    `WITH planned AS (
       SELECT n, batch ->> 'batch_id' AS batch_id, batch
         FROM jsonb_array_elements($3::jsonb) WITH ORDINALITY AS planned (batch, n)),
     inserted AS (
       INSERT INTO millrace.batches
         (batch_id, run, source, lane, stream, from_position, to_position, memo, planned_bytes)
       SELECT batch_id, 'backfill/' || $1, $2, batch ->> 'lane', batch ->> 'stream',
              batch ->> 'from_position', batch ->> 'to_position', batch ->> 'memo',
              (batch ->> 'planned_bytes')::bigint
         FROM planned ORDER BY n
       RETURNING batch_id)
     INSERT INTO millrace.deliveries (batch_id, destination)
     SELECT batch_id, destination
       FROM inserted JOIN planned USING (batch_id),
            jsonb_array_elements_text(batch -> 'destinations') AS destination`,
    [requestId, source, JSON.stringify(batches)],
  );
}

export interface BackfillProgress {
  readonly batches: number;
  readonly settled: number;
  /** Gone from the source: an older state of it. */
  readonly lost: number;
  readonly rowsLoaded: number;
  readonly rowsDuplicate: number;
  readonly rowsSuperseded: number;
  readonly rowsFailed: number;
  /** Deliveries that could run. */
  readonly pending: number;
  /** Deliveries whose destination is away. */
  readonly waiting: number;
  /** Deliveries that stand still until somebody decides. */
  readonly stopped: number;
}

export async function backfillProgress(
  db: Queryable,
  requestId: string,
): Promise<BackfillProgress> {
  const { rows } = await db.query<BackfillProgress>(
    `SELECT count(DISTINCT b.batch_id) AS batches,
            count(DISTINCT b.batch_id) FILTER (WHERE b.state = 'settled') AS settled,
            count(DISTINCT b.batch_id) FILTER (WHERE b.state = 'lost') AS lost,
            coalesce(sum(d.rows_loaded), 0)::bigint AS "rowsLoaded",
            coalesce(sum(d.rows_duplicate), 0)::bigint AS "rowsDuplicate",
            coalesce(sum(d.rows_superseded), 0)::bigint AS "rowsSuperseded",
            coalesce(sum(d.rows_failed), 0)::bigint AS "rowsFailed",
            count(*) FILTER (WHERE d.state = 'pending') AS pending,
            count(*) FILTER (WHERE d.state = 'waiting') AS waiting,
            count(*) FILTER (WHERE d.state = 'stopped') AS stopped
       FROM millrace.batches b JOIN millrace.deliveries d USING (batch_id)
      WHERE b.run = 'backfill/' || $1`,
    [requestId],
  );
  const [progress] = rows;
  if (progress) return progress;
  throw new PipelineError('not-found', `there is no backfill ${requestId}`);
}

/** Closes a backfill of which every batch is settled or lost. Repeating is harmless. */
export async function closeBackfill(db: Queryable, requestId: string): Promise<void> {
  await db.query(
    `UPDATE millrace.backfills SET state = 'settled', settled_at = now()
      WHERE request_id = $1 AND state = 'running' AND NOT EXISTS (
        SELECT FROM millrace.batches
         WHERE run = 'backfill/' || $1 AND state NOT IN ('settled', 'lost'))`,
    [requestId],
  );
}

export interface BackfillChange {
  readonly requestId: string;
  readonly paused?: boolean | undefined;
  readonly concurrency?: number | undefined;
  readonly author: string;
}

/** Holds a backfill, lets it go on, changes how many of its batches run at once. */
export async function changeBackfill(catalog: Catalog, change: BackfillChange): Promise<void> {
  const { requestId, paused, concurrency, author } = change;
  await catalog.transaction(async (tx) => {
    const { rowCount } = await tx.query(
      `UPDATE millrace.backfills
          SET paused = coalesce($2, paused), concurrency = coalesce($3, concurrency)
        WHERE request_id = $1 AND (paused, concurrency)
              IS DISTINCT FROM (coalesce($2, paused), coalesce($3, concurrency))`,
      [requestId, paused ?? null, concurrency ?? null],
    );
    if (rowCount === 0) return;
    const details = {
      ...(paused !== undefined && { paused: String(paused) }),
      ...(concurrency !== undefined && { concurrency }),
    };
    await recordDecision(tx, { author, action: 'backfill set', subject: requestId, details });
  });
}

/**
 * Backfills that a workflow should hold: with deliveries that could run, paused ones, and those of
 * which only the end was not noted.
 */
export async function runningBackfills(db: Queryable): Promise<readonly BackfillRow[]> {
  const { rows } = await db.query<BackfillRow>(
    `SELECT ${columns} FROM millrace.backfills f
      WHERE state = 'running' AND (
        paused
        OR EXISTS (SELECT FROM millrace.batches b JOIN millrace.deliveries d USING (batch_id)
                    WHERE b.run = 'backfill/' || f.request_id AND d.state = 'pending'
                      AND b.state IN ('planned', 'extracted'))
        OR NOT EXISTS (SELECT FROM millrace.batches b
                        WHERE b.run = 'backfill/' || f.request_id
                          AND b.state IN ('planned', 'extracted')))
      ORDER BY created_at`,
  );
  return rows;
}

/** Newest first. */
export async function listBackfills(
  db: Queryable,
  { source, limit }: { readonly source?: string | undefined; readonly limit: number },
): Promise<readonly BackfillRow[]> {
  const { rows } = await db.query<BackfillRow>(
    `SELECT ${columns} FROM millrace.backfills WHERE $1::text IS NULL OR source = $1
      ORDER BY created_at DESC LIMIT $2`,
    [source ?? null, limit],
  );
  return rows;
}
