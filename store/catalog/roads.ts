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
