import type { LedgerRow } from '../../core/destination.ts';
import { must, PipelineError } from '../../core/errors.ts';
import { failpoint } from '../../core/failpoints.ts';
import type { Catalog, Transaction } from './catalog.ts';
import { changeGroups, type GroupOf, type GroupPlace, placeInGroups } from './group-counts.ts';
import { resolveOvertaken } from './overtaken-failures.ts';
import { settleBackfilled } from './settle-backfilled.ts';
import { settleRestreamed } from './settle-restreamed.ts';

export interface SettleInput {
  readonly batchId: string;
  readonly destination: string;
  /** The committed row of the ledger: it names the winning attempts. */
  readonly row: LedgerRow;
  readonly groupOf: GroupOf;
  readonly hashOf: (places: readonly { ordinal: number; child: number }[]) => string;
  /** Of a backfill: ids of events that had an open record and are in this batch. */
  readonly reread?: readonly string[];
}

export interface Settled {
  readonly rowsLoaded: number;
  readonly rowsFailed: number;
  /** It was settled before; nothing was done. */
  readonly already: boolean;
}

/** Batches in a row of at least so many events from which nothing loaded pause their lane. */
const fruitlessEvents = 1_000;
const fruitlessBatches = 3;

/**
 * Follows the COMMIT of a load, once per delivery: opens the failure records of the attempts that
 * the ledger names, withdraws all others, counts groups, closes the delivery and, with its last
 * delivery, the batch. One transaction; repeating changes nothing.
 * @throws PipelineError `conflict` while the records differ from what the ledger counted.
 */
export async function settleDelivery(catalog: Catalog, input: SettleInput): Promise<Settled> {
  return catalog.transaction(async (tx) => {
    const { rowsLoaded, rowsFailed } = input.row;
    if (await isSettled(tx, input)) return { rowsLoaded, rowsFailed, already: true };
    await withdrawResent(tx, input);
    await assertComplete(tx, input);
    const { run, from, to, whole } = await readBatchRange(tx, input.batchId);
    const restreamId = /^restream\/(.*)$/.exec(run)?.[1];
    if (run.startsWith('backfill/')) await settleBackfilled(tx, { reread: [], ...input });
    if (restreamId === undefined) await openRecords(tx, input);
    else await settleRestreamed(tx, { ...input, restreamId, from: Number(from), to: Number(to) });
    await failpoint('settle-middle');
    await withdrawOthers(tx, input);
    await closeDelivery(tx, input);
    if (whole) await resolveOvertaken(tx, input);
    await closeBatch(tx, input, restreamId);
    return { rowsLoaded, rowsFailed, already: false };
  });
}

async function isSettled(tx: Transaction, { batchId, destination }: SettleInput): Promise<boolean> {
  const { rows } = await tx.query<{ state: string }>(
    'SELECT state FROM millrace.deliveries WHERE batch_id = $1 AND destination = $2 FOR UPDATE',
    [batchId, destination],
  );
  return must(rows[0], 'the delivery').state === 'settled';
}

/** Failures of events that came before: the first one's record stands for both. */
async function withdrawResent(tx: Transaction, { batchId, destination, row }: SettleInput) {
  const at = [batchId, destination];
  await tx.query(
    `DELETE FROM millrace.failure_records r USING millrace.resent_failures s
      WHERE s.batch_id = $1 AND s.destination = $2 AND s.attempt = $3
        AND r.batch_id = $1 AND r.destination = $2 AND r.attempt IN ($3, $4)
        AND r.state = 'provisional'
        AND r.ordinal = s.ordinal`,
    [...at, row.loadAttempt, row.mapAttempt],
  );
  await tx.query(
    'DELETE FROM millrace.resent_failures WHERE batch_id = $1 AND destination = $2',
    at,
  );
}

/** Our records must be those that the ledger counted; until they are, settling waits. */
async function assertComplete(tx: Transaction, input: SettleInput): Promise<void> {
  const { rows } = await tx.query<{ ordinal: number; child: number }>(
    `SELECT ordinal, child FROM millrace.failure_records
      WHERE ${ofWinners} ORDER BY ordinal, child`,
    winners(input),
  );
  const { row } = input;
  if (rows.length === row.rowsFailed && input.hashOf(rows) === row.failedSha256) return;
  throw new PipelineError(
    'conflict',
    `batch ${input.batchId} cannot settle: the ledger counts ${row.rowsFailed} failed events, the catalog holds ${rows.length}`,
  );
}

const ofWinners = `batch_id = $1 AND destination = $2 AND state = 'provisional' AND attempt = ANY ($3)`;

function winners({ batchId, destination, row }: SettleInput): readonly unknown[] {
  return [batchId, destination, [row.mapAttempt, row.loadAttempt]];
}

async function readBatchRange(tx: Transaction, batchId: string) {
  const { rows } = await tx.query<{ run: string; from: string; to: string; whole: boolean }>(
    `SELECT run, from_position AS "from", to_position AS "to", whole FROM millrace.batches WHERE batch_id = $1`,
    [batchId],
  );
  return must(rows[0], 'the batch');
}

async function openRecords(tx: Transaction, input: SettleInput): Promise<void> {
  const { rows } = await tx.query<GroupPlace & { count: number }>(
    `SELECT source, stream, destination, stage, kind, field, expected, observed,
            sql_state AS "sqlState", count(*) AS count
       FROM millrace.failure_records WHERE ${ofWinners}
      GROUP BY source, stream, destination, stage, kind, field, expected, observed, sql_state`,
    winners(input),
  );
  if (rows.length === 0) return;
  const placed = await placeInGroups(tx, rows, input.groupOf);
  await changeGroups(
    tx,
    placed.map(({ groupId, place }) => ({
      groupId,
      open: place.count,
      restreaming: 0,
      total: place.count,
    })),
  );
  await tx.query(
    `UPDATE millrace.failure_records r SET state = 'open', group_id = g.group_id
       FROM jsonb_to_recordset($4) AS g (group_id text, stream text, stage text, kind text, field text,
                                         expected text, observed text, sql_state text)
      WHERE r.batch_id = $1 AND r.destination = $2 AND r.state = 'provisional' AND r.attempt = ANY ($3)
        AND r.stream = g.stream AND r.stage = g.stage AND r.kind = g.kind
        AND r.field IS NOT DISTINCT FROM g.field AND r.expected IS NOT DISTINCT FROM g.expected
        AND r.observed IS NOT DISTINCT FROM g.observed
        AND r.sql_state IS NOT DISTINCT FROM g.sql_state`,
    [...winners(input), JSON.stringify(placed.map(toJson))],
  );
}

function toJson({ groupId, place }: { groupId: string; place: GroupPlace }) {
  const { stream, stage, kind, field, expected, observed, sqlState } = place;
  return { group_id: groupId, stream, stage, kind, field, expected, observed, sql_state: sqlState };
}

/** Records of attempts that lost, and those whose outcome went into the record they came from. */
async function withdrawOthers(tx: Transaction, { batchId, destination }: SettleInput) {
  await tx.query(
    `DELETE FROM millrace.failure_records
      WHERE batch_id = $1 AND destination = $2 AND state = 'provisional'`,
    [batchId, destination],
  );
}

async function closeDelivery(tx: Transaction, { batchId, destination, row }: SettleInput) {
  await tx.query(
    `UPDATE millrace.deliveries
        SET state = 'settled', settled_at = now(), stop_kind = NULL, stop_message = NULL,
            rows_loaded = $3, rows_duplicate = $4, rows_superseded = $5, rows_failed = $6,
            rows_discarded = $7, tables = $8
      WHERE batch_id = $1 AND destination = $2`,
    [
      batchId,
      destination,
      row.rowsLoaded,
      row.rowsDuplicate,
      row.rowsSuperseded,
      row.rowsFailed,
      row.rowsDiscarded,
      JSON.stringify(row.tables),
    ],
  );
}

/** With its last delivery the batch is settled; its lane then hears how it went. */
async function closeBatch(
  tx: Transaction,
  { batchId, row }: SettleInput,
  restreamId: string | undefined,
): Promise<void> {
  await tx.query('SELECT FROM millrace.batches WHERE batch_id = $1 FOR UPDATE', [batchId]);
  const { rowCount } = await tx.query(
    `UPDATE millrace.batches SET state = 'settled', settled_at = now(), events = coalesce(events, $2)
      WHERE batch_id = $1 AND NOT EXISTS (
        SELECT FROM millrace.deliveries WHERE batch_id = $1 AND state NOT IN ('settled', 'lost', 'discarded'))`,
    [batchId, eventsOf(row)],
  );
  if (rowCount === 0) return;
  if (restreamId === undefined) await noteFruit(tx, batchId);
  else await closeRestream(tx, restreamId);
}

/** Of a batch that was never staged only the ledger knows how many events it had. */
function eventsOf(row: LedgerRow): number {
  const { rowsLoaded, rowsDuplicate, rowsSuperseded, rowsFailed, rowsDiscarded } = row;
  return rowsLoaded + rowsDuplicate + rowsSuperseded + rowsFailed + rowsDiscarded;
}

async function noteFruit(tx: Transaction, batchId: string): Promise<void> {
  await tx.query(
    `WITH outcome AS (
       SELECT b.source, b.lane, b.events >= $2 AND sum(d.rows_loaded + d.rows_duplicate + d.rows_superseded) = 0 AS fruitless
         FROM millrace.batches b JOIN millrace.deliveries d USING (batch_id)
        WHERE b.batch_id = $1 AND b.run = 'live' GROUP BY b.batch_id)
     UPDATE millrace.lanes l
        SET fruitless = CASE WHEN o.fruitless THEN l.fruitless + 1 ELSE 0 END,
            state = CASE WHEN o.fruitless AND l.fruitless + 1 >= $3 AND l.state = 'active'
                         THEN 'paused' ELSE l.state END,
            stop_kind = CASE WHEN o.fruitless AND l.fruitless + 1 >= $3 AND l.state = 'active'
                             THEN 'lane-paused' ELSE l.stop_kind END,
            stop_message = CASE WHEN o.fruitless AND l.fruitless + 1 >= $3 AND l.state = 'active'
                                THEN 'nothing of the last three batches loaded: see the failed events, then run sync to go on'
                                ELSE l.stop_message END
       FROM outcome o
      WHERE l.source = o.source AND l.lane = o.lane AND (o.fruitless OR l.fruitless > 0)`,
    [batchId, fruitlessEvents, fruitlessBatches],
  );
}

async function closeRestream(tx: Transaction, restreamId: string): Promise<void> {
  await tx.query('SELECT FROM millrace.restreams WHERE restream_id = $1 FOR UPDATE', [restreamId]);
  await tx.query(
    `UPDATE millrace.restreams SET state = 'settled', settled_at = now()
      WHERE restream_id = $1 AND NOT EXISTS (
        SELECT FROM millrace.batches WHERE run = 'restream/' || $1 AND state NOT IN ('settled', 'lost'))`,
    [restreamId],
  );
}
