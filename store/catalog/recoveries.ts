import type { LedgerRow } from '../../core/destination.ts';
import type { Position } from '../../core/positions.ts';
import type { Queryable, Transaction } from './catalog.ts';

interface LaneKey {
  readonly source: string;
  readonly lane: string;
}

export interface StandingLane {
  readonly head: Position;
  readonly memo: string;
}

/** The lane, locked; null: the catalog never saw it. */
export async function lockLane(tx: Transaction, at: LaneKey): Promise<StandingLane | null> {
  const { rows } = await tx.query<StandingLane>(
    'SELECT head, memo FROM millrace.lanes WHERE source = $1 AND lane = $2 FOR UPDATE',
    [at.source, at.lane],
  );
  return rows[0] ?? null;
}

export interface StandingPlan {
  readonly batchId: string;
  readonly from: Position;
  readonly to: Position;
  readonly settled: boolean;
}

/** Live batches of a lane that reach beyond a place. */
export async function plansBeyond(
  tx: Transaction,
  at: LaneKey & { readonly from: Position },
): Promise<readonly StandingPlan[]> {
  const { rows } = await tx.query<StandingPlan>(
    `SELECT batch_id AS "batchId", from_position AS "from", to_position AS "to",
            EXISTS (SELECT FROM millrace.deliveries d
                     WHERE d.batch_id = b.batch_id AND d.state = 'settled') AS settled
       FROM millrace.batches b
      WHERE source = $1 AND lane = $2 AND run = 'live' AND to_position COLLATE "C" > $3`,
    [at.source, at.lane, at.from],
  );
  return rows;
}

/** Plans that never loaded anything; whoever works on them finds them gone. */
export async function withdrawPlans(tx: Transaction, batchIds: readonly string[]): Promise<void> {
  if (batchIds.length === 0) return;
  await tx.query('DELETE FROM millrace.failure_records WHERE batch_id = ANY ($1)', [batchIds]);
  await tx.query('DELETE FROM millrace.batches WHERE batch_id = ANY ($1)', [batchIds]);
}

export interface RecoveredBatch extends LaneKey {
  readonly batchId: string;
  readonly run: string;
  readonly stream: string | null;
  readonly whole: boolean;
  readonly memo: string;
  readonly from: Position;
  readonly to: Position;
  readonly deliveries: readonly RecoveredDelivery[];
}

export interface RecoveredDelivery {
  readonly destination: string;
  /** Null: this destination does not have it. */
  readonly row: LedgerRow | null;
}

/**
 * Writes a batch that was planned and is forgotten. A delivery with a row in the ledger is settled,
 * unless events of it failed: then it takes the road again, which finds the row, and reads anew
 * what failed.
 */
export async function insertRecovered(tx: Transaction, batch: RecoveredBatch): Promise<void> {
  const { batchId, run, source, lane, stream, whole, memo, from, to, deliveries } = batch;
  const isSettled = deliveries.every(({ row }) => isComplete(row, run));
  const [row = null] = deliveries.flatMap(({ row: found }) => found ?? []);
  await tx.query(
    `INSERT INTO millrace.batches (batch_id, run, source, lane, stream, whole, memo, from_position,
       to_position, state, events, settled_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT DO NOTHING`,
    [
      batchId,
      run,
      source,
      lane,
      stream,
      whole,
      memo,
      from,
      to,
      isSettled ? 'settled' : 'planned',
      row && eventsOf(row),
      isSettled ? (row?.loadedAt ?? null) : null,
    ],
  );
  for (const delivery of deliveries) await insertDelivery(tx, { batchId, run, ...delivery });
}

/** What failed in a restream stands in the records that it took: none are missing. */
function isComplete(row: LedgerRow | null, run: string): row is LedgerRow {
  return row !== null && (row.rowsFailed === 0 || run !== 'live');
}

function eventsOf(row: LedgerRow): number {
  const { rowsLoaded, rowsDuplicate, rowsSuperseded, rowsFailed, rowsDiscarded } = row;
  return rowsLoaded + rowsDuplicate + rowsSuperseded + rowsFailed + rowsDiscarded;
}

async function insertDelivery(
  tx: Transaction,
  { batchId, run, destination, row }: RecoveredDelivery & { batchId: string; run: string },
): Promise<void> {
  if (isComplete(row, run)) return insertSettled(tx, { batchId, destination, row });
  await tx.query(
    `INSERT INTO millrace.deliveries (batch_id, destination) VALUES ($1, $2) ON CONFLICT DO NOTHING`,
    [batchId, destination],
  );
}

async function insertSettled(
  tx: Transaction,
  { batchId, destination, row }: { batchId: string; destination: string; row: LedgerRow },
): Promise<void> {
  await tx.query(
    `INSERT INTO millrace.deliveries (batch_id, destination, state, pins, settled_at, rows_loaded,
       rows_duplicate, rows_superseded, rows_failed, rows_discarded, tables)
     VALUES ($1, $2, 'settled', $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING`,
    [
      batchId,
      destination,
      JSON.stringify(row.mappingVersions),
      row.loadedAt,
      row.rowsLoaded,
      row.rowsDuplicate,
      row.rowsSuperseded,
      row.rowsFailed,
      row.rowsDiscarded,
      JSON.stringify(row.tables),
    ],
  );
}

export async function placeLane(
  tx: Transaction,
  lane: LaneKey & StandingLane & { readonly stream: string | null },
): Promise<void> {
  await tx.query(
    `INSERT INTO millrace.lanes (source, lane, stream, head, memo) VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT (source, lane) DO UPDATE SET head = $4, memo = $5`,
    [lane.source, lane.lane, lane.stream, lane.head, lane.memo],
  );
}

/**
 * Moves the numbers of an intake to where no ledger has one: those it gives next, and those of
 * chunks that came since the catalog was restored. Older ones below `next` are what the ledgers
 * have. Answers how many chunks got other numbers.
 * @param lastLoadedAt when the newest of the forgotten batches was loaded: what came in later came
 *   after the restored catalog began to give numbers a second time
 */
export async function liftChunks(
  tx: Transaction,
  at: { readonly source: string; readonly next: number; readonly lastLoadedAt: string },
): Promise<number> {
  const { source, next, lastLoadedAt } = at;
  await tx.query(
    `INSERT INTO millrace.intakes (source, last_chunk, stored_bytes) VALUES ($1, 0, 0)
     ON CONFLICT DO NOTHING`,
    [source],
  );
  await tx.query('SELECT FROM millrace.intakes WHERE source = $1 FOR UPDATE', [source]);
  // In two steps: numbers on the way must not meet those that are still there.
  const { rowCount } = await tx.query(
    `UPDATE millrace.intake_chunks c SET chunk = -(c.chunk + greatest(0, $2 - f.first))
       FROM (SELECT min(chunk) AS first FROM millrace.intake_chunks
              WHERE source = $1 AND received_at > $3) f
      WHERE source = $1 AND received_at > $3 AND f.first < $2`,
    [source, next, lastLoadedAt],
  );
  await tx.query(
    'UPDATE millrace.intake_chunks SET chunk = -chunk WHERE source = $1 AND chunk < 0',
    [source],
  );
  await tx.query(
    `UPDATE millrace.intakes SET last_chunk = greatest(last_chunk, $2 - 1,
       (SELECT max(chunk) FROM millrace.intake_chunks WHERE source = $1)) WHERE source = $1`,
    [source, next],
  );
  return rowCount;
}

/** Which of these live batches are still on their way into a destination, and not read yet. */
export async function openBatches(
  db: Queryable,
  at: {
    readonly source: string;
    readonly destination: string;
    readonly batchIds: readonly string[];
  },
): Promise<ReadonlySet<string>> {
  if (at.batchIds.length === 0) return new Set();
  const { rows } = await db.query<{ batchId: string }>(
    `SELECT d.batch_id AS "batchId" FROM millrace.deliveries d JOIN millrace.batches b USING (batch_id)
      WHERE b.run = 'live' AND b.source = $1 AND d.destination = $2 AND d.batch_id = ANY ($3)
        AND b.state = 'planned' AND d.state IN ('pending', 'waiting')`,
    [at.source, at.destination, at.batchIds],
  );
  return new Set(rows.map(({ batchId }) => batchId));
}

/** Lanes of which nothing contradicts a ledger any more. */
export async function resumeAgreed(tx: Transaction, source: string): Promise<void> {
  await tx.query(
    `UPDATE millrace.lanes l SET state = 'active', stop_kind = NULL, stop_message = NULL
      WHERE source = $1 AND state = 'stopped' AND stop_kind = 'ledger-conflict'
        AND NOT EXISTS (
          SELECT FROM millrace.batches b JOIN millrace.deliveries d USING (batch_id)
           WHERE b.source = l.source AND b.lane = l.lane AND d.stop_kind = 'ledger-conflict')`,
    [source],
  );
}

/**
 * Deliveries that cannot be finished although the ledger has them: what they were made of is gone,
 * or reads differently now. Nothing is missing but their failed events. Where events are posted,
 * what reads differently are other events.
 */
export async function listUnfinished(
  db: Queryable,
  at: { readonly source: string; readonly destination: string; readonly hasIntake: boolean },
): Promise<readonly string[]> {
  const { rows } = await db.query<{ batchId: string }>(
    `SELECT d.batch_id AS "batchId" FROM millrace.deliveries d JOIN millrace.batches b USING (batch_id)
      WHERE b.source = $1 AND d.destination = $2
        AND d.state IN ('stopped', 'lost')
        AND (d.stop_kind IN ('extract-lost', 'backup-mismatch')
          OR (d.stop_kind = 'ledger-conflict' AND NOT $3 AND b.run NOT LIKE 'restream/%'))`,
    [at.source, at.destination, at.hasIntake],
  );
  return rows.map(({ batchId }) => batchId);
}

/** Closes such a delivery as its ledger says. Its failed events are lost. */
export async function closeAsLoaded(
  tx: Transaction,
  { batchId, destination, row }: { batchId: string; destination: string; row: LedgerRow },
): Promise<void> {
  await tx.query(
    `DELETE FROM millrace.failure_records
      WHERE batch_id = $1 AND destination = $2 AND state = 'provisional'`,
    [batchId, destination],
  );
  await tx.query('DELETE FROM millrace.deliveries WHERE batch_id = $1 AND destination = $2', [
    batchId,
    destination,
  ]);
  await insertSettled(tx, { batchId, destination, row });
  await tx.query(
    `UPDATE millrace.batches SET state = 'settled', settled_at = coalesce(settled_at, now())
      WHERE batch_id = $1 AND NOT EXISTS (
        SELECT FROM millrace.deliveries WHERE batch_id = $1 AND state NOT IN ('settled', 'lost', 'discarded'))`,
    [batchId],
  );
}

/** The first number of a range of chunks that is not there; `to` where all are. */
export async function firstMissingChunk(
  tx: Transaction,
  { source, from, to }: { readonly source: string; readonly from: number; readonly to: number },
): Promise<number> {
  const { rows } = await tx.query<{ missing: number }>(
    `SELECT $2 + count(*) AS missing
       FROM (SELECT chunk, row_number() OVER (ORDER BY chunk) AS place FROM millrace.intake_chunks
              WHERE source = $1 AND chunk >= $2::bigint AND chunk < $3::bigint) c
      WHERE chunk = $2 + place - 1`,
    [source, from, to],
  );
  return rows[0]?.missing ?? from;
}
