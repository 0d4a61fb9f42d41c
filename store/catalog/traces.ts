import type { Queryable } from './catalog.ts';

/** A chunk whose bytes hold what was looked for. */
export interface FoundChunk {
  readonly source: string;
  readonly chunk: number;
  readonly receivedAt: string;
  readonly content: Uint8Array;
}

export interface ChunkSearch {
  readonly sources: readonly string[];
  readonly bytes: Uint8Array;
  /** Null: of any time. */
  readonly receivedBetween: readonly [Date, Date] | null;
  readonly limit: number;
}

/** Chunks that hold some bytes, newest first. Reads all that are there: for people, not for events. */
export async function findChunks(
  db: Queryable,
  { sources, bytes, receivedBetween, limit }: ChunkSearch,
): Promise<readonly FoundChunk[]> {
  const [after, before] = receivedBetween?.map((time) => time.toISOString()) ?? [null, null];
  const { rows } = await db.query<FoundChunk>(
    `SELECT source, chunk, received_at AS "receivedAt", content FROM millrace.intake_chunks
      WHERE source = ANY ($1) AND ($3::timestamptz IS NULL OR received_at BETWEEN $3 AND $4)
        AND position($2::bytea IN content) > 0
      ORDER BY received_at DESC LIMIT $5`,
    [sources, bytes, after, before, limit],
  );
  return rows;
}

/** Chunks of a source in order: those behind a number, or (null) the newest ones. */
export async function readOn(
  db: Queryable,
  input: { readonly source: string; readonly after: number | null; readonly limit: number },
): Promise<readonly FoundChunk[]> {
  const { source, after, limit } = input;
  const { rows } = await db.query<FoundChunk>(
    `SELECT source, chunk, received_at AS "receivedAt", content FROM millrace.intake_chunks
      WHERE source = $1 AND chunk > $2 ORDER BY chunk ${after === null ? 'DESC' : ''} LIMIT $3`,
    [source, after ?? 0, limit],
  );
  return after === null ? rows.toReversed() : rows;
}

export interface DeliveryTrace {
  readonly batchId: string;
  readonly destination: string;
  readonly state: string;
  readonly loadedAt: string | null;
}

/** The deliveries of the live batch that a position lies in. */
export async function deliveriesAt(
  db: Queryable,
  {
    source,
    lane,
    position,
  }: { readonly source: string; readonly lane: string; readonly position: string },
): Promise<readonly DeliveryTrace[]> {
  const { rows } = await db.query<DeliveryTrace>(
    `SELECT b.batch_id AS "batchId", d.destination, d.state, d.settled_at AS "loadedAt"
       FROM millrace.batches b JOIN millrace.deliveries d USING (batch_id)
      WHERE b.batch_id = (SELECT batch_id FROM millrace.batches
                           WHERE run = 'live' AND source = $1 AND lane = $2 AND from_position <= $3
                           ORDER BY from_position DESC LIMIT 1)
        AND b.to_position > $3
      ORDER BY d.destination`,
    [source, lane, position],
  );
  return rows;
}

export interface FailureTrace {
  readonly source: string;
  readonly stream: string;
  readonly destination: string;
  readonly batchId: string;
  readonly kind: string;
  readonly state: string;
  readonly sha256: string;
  readonly groupId: string | null;
  readonly message: string;
}

export async function failuresOf(
  db: Queryable,
  { sources, eventId }: { readonly sources: readonly string[]; readonly eventId: string },
): Promise<readonly FailureTrace[]> {
  const { rows } = await db.query<FailureTrace>(
    `SELECT source, stream, destination, batch_id AS "batchId", kind, state, raw_sha256 AS sha256,
            group_id AS "groupId", message
       FROM millrace.failed_events WHERE event_id = $2 AND source = ANY ($1)
      ORDER BY record_id LIMIT 100`,
    [sources, eventId],
  );
  return rows;
}
