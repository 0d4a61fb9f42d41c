import type { BatchRow } from './batches.ts';
import type { Queryable } from './catalog.ts';

export interface EarlierBatch {
  readonly batchId: string;
  /** Before that nobody knows which events it has. */
  readonly isExtracted: boolean;
}

const unsettled = `
  SELECT b.batch_id AS "batchId",
         EXISTS (SELECT FROM millrace.extracts e WHERE e.batch_id = b.batch_id) AS "isExtracted"
    FROM millrace.batches b JOIN millrace.deliveries d USING (batch_id)
   WHERE b.run = 'live' AND b.source = $1 AND b.state IN ('planned', 'extracted')
     AND d.destination = $2 AND d.state IN ('pending', 'waiting', 'stopped')`;

/**
 * Live batches whose events were received before those of a batch, and which a destination may not
 * have yet; in the order of their lane.
 */
export async function listEarlier(
  db: Queryable,
  { source, lane, from }: Pick<BatchRow, 'source' | 'lane' | 'from'>,
  destination: string,
): Promise<readonly EarlierBatch[]> {
  const { rows } = await db.query<EarlierBatch>(
    `${unsettled} AND b.lane = $3 AND b.from_position COLLATE "C" < $4
      ORDER BY b.from_position COLLATE "C"`,
    [source, destination, lane, from],
  );
  return rows;
}

/** All live batches of a source whose events are known and that a destination may not have yet. */
export async function listExtracted(
  db: Queryable,
  { source, destination }: { readonly source: string; readonly destination: string },
): Promise<readonly EarlierBatch[]> {
  const { rows } = await db.query<EarlierBatch>(
    `SELECT * FROM (${unsettled} ORDER BY b.lane, b.from_position COLLATE "C") open
      WHERE "isExtracted"`,
    [source, destination],
  );
  return rows;
}
