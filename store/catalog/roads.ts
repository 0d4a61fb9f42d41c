import { must } from '../../core/errors.ts';
import type { Catalog, Queryable } from './catalog.ts';

type Road = 'staged' | 'typed';

interface RoadOf {
  readonly batchId: string;
}

/** Fixes the road of a batch, once; answers the one that stands. */
export async function settleRoad(
  db: Queryable,
  { batchId, road }: RoadOf & { readonly road: Road },
): Promise<Road> {
  const { rows } = await db.query<{ road: Road }>(
    `UPDATE millrace.batches SET road = coalesce(road, $2) WHERE batch_id = $1 RETURNING road`,
    [batchId, road],
  );
  return must(rows[0], 'the batch').road;
}

/** Whether the newest live batch of a lane that was begun is on the staged road. */
export async function leftTypedRoad(
  db: Queryable,
  { source, lane }: { readonly source: string; readonly lane: string },
): Promise<boolean> {
  const { rows } = await db.query<{ road: Road }>(
    `SELECT road FROM millrace.batches
      WHERE run = 'live' AND source = $1 AND lane = $2 AND road IS NOT NULL
      ORDER BY from_position DESC LIMIT 1`,
    [source, lane],
  );
  return rows[0]?.road === 'staged';
}

/**
 * From the typed road to the staged one; there is no way back. What was pinned came from the
 * declared schema: the profile of the staged records decides anew. Repeating changes nothing.
 */
export async function leaveTypedRoad(catalog: Catalog, { batchId }: RoadOf): Promise<void> {
  await catalog.transaction(async (tx) => {
    const { rowCount } = await tx.query(
      `UPDATE millrace.batches SET road = 'staged' WHERE batch_id = $1 AND road = 'typed'`,
      [batchId],
    );
    if (rowCount === 0) return;
    await tx.query(
      `UPDATE millrace.deliveries SET pins = NULL WHERE batch_id = $1 AND state <> 'settled'`,
      [batchId],
    );
  });
}
