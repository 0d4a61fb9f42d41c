import { must } from '../../core/errors.ts';
import type { FailureKind } from '../../core/failures.ts';
import type { Queryable } from './catalog.ts';

interface DeliveryKey {
  readonly batchId: string;
  readonly destination: string;
}

export type Pins = Record<string, number>;

/** Fixes the mapping versions of a delivery, once; answers those that stand. */
export async function pinMappings(
  db: Queryable,
  at: DeliveryKey & { readonly pins: Pins },
): Promise<Pins> {
  await db.query(
    `UPDATE millrace.deliveries SET pins = $3
      WHERE batch_id = $1 AND destination = $2 AND pins IS NULL`,
    [at.batchId, at.destination, JSON.stringify(at.pins)],
  );
  return readPins(db, at);
}

/** Replaces pins that no longer fit the table, if nobody did so before and nothing is settled. */
export async function renewPins(
  db: Queryable,
  at: DeliveryKey & { readonly pins: Pins; readonly replaced: Pins },
): Promise<Pins> {
  await db.query(
    `UPDATE millrace.deliveries SET pins = $3
      WHERE batch_id = $1 AND destination = $2 AND pins = $4::jsonb AND state = 'pending'`,
    [at.batchId, at.destination, JSON.stringify(at.pins), JSON.stringify(at.replaced)],
  );
  return readPins(db, at);
}

async function readPins(db: Queryable, { batchId, destination }: DeliveryKey): Promise<Pins> {
  const { rows } = await db.query<{ pins: Pins | null }>(
    'SELECT pins FROM millrace.deliveries WHERE batch_id = $1 AND destination = $2',
    [batchId, destination],
  );
  return must(rows[0]?.pins, 'the pins of the delivery');
}

/**
 * An earlier batch of the same source that may still bring the first columns of `stream` in this
 * destination: its id, or null. Lanes that stand still are not waited for.
 */
export async function hasEarlierUnpinned(
  db: Queryable,
  at: DeliveryKey & { readonly stream: string },
): Promise<string | null> {
  const { rows } = await db.query<{ batchId: string }>(
    `SELECT b.batch_id AS "batchId"
       FROM millrace.batches mine
       JOIN millrace.batches b ON b.source = mine.source AND b.plan_order < mine.plan_order
       JOIN millrace.deliveries d ON d.batch_id = b.batch_id AND d.destination = $2
       JOIN millrace.lanes l ON l.source = b.source AND l.lane = b.lane
      WHERE mine.batch_id = $1 AND b.run = 'live' AND b.state IN ('planned', 'extracted')
        AND d.state IN ('pending', 'waiting') AND d.pins IS NULL
        AND (b.stream IS NULL OR b.stream = $3)
        AND l.stop_kind IS DISTINCT FROM 'ledger-conflict'
      ORDER BY b.plan_order LIMIT 1`,
    [at.batchId, at.destination, at.stream],
  );
  return rows[0]?.batchId ?? null;
}

/** Moves a delivery that is neither settled nor discarded. */
export async function setDeliveryState(
  db: Queryable,
  at: DeliveryKey & {
    readonly state: 'pending' | 'waiting' | 'stopped' | 'lost';
    readonly kind?: FailureKind;
    readonly message?: string;
  },
): Promise<void> {
  await db.query(
    `UPDATE millrace.deliveries SET state = $3, stop_kind = $4, stop_message = $5
      WHERE batch_id = $1 AND destination = $2 AND state NOT IN ('settled', 'discarded')`,
    [at.batchId, at.destination, at.state, at.kind ?? null, at.message ?? null],
  );
}

/** The destination is back: everything that waited for it may run. */
export async function reopenWaiting(db: Queryable, destination: string): Promise<number> {
  const { rowCount } = await db.query(
    `UPDATE millrace.deliveries SET state = 'pending', stop_kind = NULL, stop_message = NULL
      WHERE destination = $1 AND state = 'waiting'`,
    [destination],
  );
  return rowCount;
}

/**
 * A person asked for this source, or it has again what was lost when a batch needed it; all of the
 * source, or only these batches.
 */
export async function reopenLost(
  db: Queryable,
  source: string,
  batchIds: readonly string[] | null = null,
): Promise<void> {
  await db.query(
    `WITH back AS (
       UPDATE millrace.deliveries d SET state = 'pending', stop_kind = NULL, stop_message = NULL
         FROM millrace.batches b
        WHERE b.batch_id = d.batch_id AND b.source = $1
          AND ($2::text[] IS NULL OR b.batch_id = ANY ($2))
          AND d.state IN ('stopped', 'lost') AND d.stop_kind = 'extract-lost'
          AND (d.state = 'stopped' OR b.run NOT LIKE 'backfill/%')
       RETURNING d.batch_id)
     UPDATE millrace.batches SET state = 'planned', settled_at = NULL
      WHERE state = 'lost' AND batch_id IN (SELECT batch_id FROM back)`,
    [source, batchIds],
  );
}

/** A person asked for this source: what a table stood in the way of is tried again. */
export async function reopenStopped(db: Queryable, source: string): Promise<void> {
  await db.query(
    `UPDATE millrace.deliveries d SET state = 'pending', stop_kind = NULL, stop_message = NULL
       FROM millrace.batches b
      WHERE b.batch_id = d.batch_id AND b.source = $1
        AND d.state = 'stopped' AND d.stop_kind IN ('schema-rejected', 'pin-outdated')`,
    [source],
  );
}

/** Whether some delivery into this destination stands still for the same reason. */
export async function isStoppedLikewise(
  db: Queryable,
  { destination, message }: { readonly destination: string; readonly message: string },
): Promise<boolean> {
  const { rowCount } = await db.query(
    `SELECT FROM millrace.deliveries
      WHERE destination = $1 AND state = 'stopped' AND stop_message = $2 LIMIT 1`,
    [destination, message],
  );
  return rowCount > 0;
}

export interface StoppedDeliveries {
  readonly source: string;
  readonly destination: string;
  readonly kind: string;
  readonly message: string;
  readonly deliveries: number;
}

/** Reasons for which deliveries stand still, with how many; the most first. */
export async function listStopped(
  db: Queryable,
  { sources }: { readonly sources: readonly string[] | 'all' },
): Promise<readonly StoppedDeliveries[]> {
  const { rows } = await db.query<StoppedDeliveries>(
    `SELECT b.source, d.destination, coalesce(d.stop_kind, '') AS kind,
            coalesce(d.stop_message, '') AS message, count(*) AS deliveries
       FROM millrace.deliveries d JOIN millrace.batches b USING (batch_id)
      WHERE d.state = 'stopped' AND ($1::text[] IS NULL OR b.source = ANY ($1))
      GROUP BY 1, 2, 3, 4 ORDER BY deliveries DESC LIMIT 20`,
    [sources === 'all' ? null : sources],
  );
  return rows;
}

/** Destinations among `names` with deliveries that are not finished. */
export async function destinationsWithOpenDeliveries(
  db: Queryable,
  names: readonly string[],
): Promise<readonly string[]> {
  const { rows } = await db.query<{ destination: string }>(
    `SELECT DISTINCT destination FROM millrace.deliveries
      WHERE destination = ANY ($1) AND state IN ('pending', 'waiting', 'stopped')`,
    [names],
  );
  return rows.map(({ destination }) => destination);
}
