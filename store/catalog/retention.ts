import type { Queryable } from './catalog.ts';

export interface RemovableExtract {
  readonly batchId: string;
  readonly generation: number;
}

/** Extracts of batches that were finished before a time, oldest first. */
export async function removableExtracts(
  db: Queryable,
  { settledBefore, limit }: { readonly settledBefore: Date; readonly limit: number },
): Promise<readonly RemovableExtract[]> {
  const { rows } = await db.query<RemovableExtract>(
    `SELECT e.batch_id AS "batchId", e.generation
       FROM millrace.batches b JOIN millrace.extracts e USING (batch_id)
      WHERE b.state IN ('settled', 'lost') AND b.settled_at < $1 AND e.removed_at IS NULL
      ORDER BY b.settled_at LIMIT $2`,
    [settledBefore.toISOString(), limit],
  );
  return rows;
}

export async function markExtractRemoved(
  db: Queryable,
  { batchId, generation }: RemovableExtract,
): Promise<void> {
  await db.query(
    'UPDATE millrace.extracts SET removed_at = now() WHERE batch_id = $1 AND generation = $2',
    [batchId, generation],
  );
}

/**
 * Which attempts in a batch's staging folder nobody can need: the batch is finished and no manifest
 * names them. While a batch is open all of its attempts stay, a load may be reading them.
 */
export async function deadAttempts(
  db: Queryable,
  { key, attempts }: { readonly key: string; readonly attempts: readonly string[] },
): Promise<readonly string[]> {
  const { rows } = await db.query<{ attempt: string }>(
    `SELECT attempt FROM unnest($2::text[]) AS attempt
      WHERE EXISTS (SELECT FROM millrace.extracts e JOIN millrace.batches b USING (batch_id)
                     WHERE e.staging_key = $1 AND b.state IN ('settled', 'lost'))
        AND NOT EXISTS (SELECT FROM millrace.extracts e
                         WHERE e.staging_key = $1 AND e.attempt = attempt.attempt)`,
    [key, attempts],
  );
  return rows.map(({ attempt }) => attempt);
}
