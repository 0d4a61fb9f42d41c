import type { Queryable } from './catalog.ts';

/** Which of these batches have no delivery into the destination. */
export async function unknownBatches(
  db: Queryable,
  { destination, batchIds }: { readonly destination: string; readonly batchIds: readonly string[] },
): Promise<ReadonlySet<string>> {
  if (batchIds.length === 0) return new Set();
  const { rows } = await db.query<{ batchId: string }>(
    `SELECT batch_id AS "batchId" FROM unnest($2::text[]) AS batch_id
      WHERE NOT EXISTS (SELECT FROM millrace.deliveries d
                         WHERE d.batch_id = batch_id.batch_id AND d.destination = $1)`,
    [destination, batchIds],
  );
  return new Set(rows.map(({ batchId }) => batchId));
}

export interface SettledDelivery {
  readonly batchId: string;
  readonly source: string;
  readonly settledAt: string;
}

/** Settled deliveries, newest first: those that settled after `since`, behind `before`. */
export async function pageSettled(
  db: Queryable,
  page: {
    readonly destination: string;
    readonly since: Date;
    readonly before?: SettledDelivery | undefined;
    readonly limit: number;
  },
): Promise<readonly SettledDelivery[]> {
  const { rows } = await db.query<SettledDelivery>(
    `SELECT d.batch_id AS "batchId", b.source, d.settled_at::text AS "settledAt"
       FROM millrace.deliveries d JOIN millrace.batches b USING (batch_id)
      WHERE d.destination = $1 AND d.state = 'settled' AND d.settled_at > $2
        AND ($3::timestamptz IS NULL OR d.settled_at < $3
             OR (d.settled_at = $3 AND d.batch_id > $4))
      ORDER BY d.settled_at DESC, d.batch_id LIMIT $5`,
    [
      page.destination,
      page.since.toISOString(),
      page.before?.settledAt ?? null,
      page.before?.batchId ?? '',
      page.limit,
    ],
  );
  return rows;
}

/** Whether some of these deliveries stand as they did: recovering reopens them. */
export async function areStillSettled(
  db: Queryable,
  of: { readonly destination: string; readonly settled: readonly SettledDelivery[] },
): Promise<boolean> {
  const { rows } = await db.query(
    `SELECT FROM millrace.deliveries d
       JOIN unnest($2::text[], $3::timestamptz[]) AS was (batch_id, settled_at) USING (batch_id)
      WHERE d.destination = $1 AND d.state = 'settled' AND d.settled_at = was.settled_at LIMIT 1`,
    [
      of.destination,
      of.settled.map(({ batchId }) => batchId),
      of.settled.map(({ settledAt }) => settledAt),
    ],
  );
  return rows.length > 0;
}
