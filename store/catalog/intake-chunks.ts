import type { ChunkSize, IntakeReader, StoredChunk } from '../../core/intake.ts';
import { must } from '../../core/errors.ts';
import type { Catalog, Queryable } from './catalog.ts';

export interface NewChunk {
  readonly source: string;
  readonly events: number;
  readonly content: Uint8Array;
  readonly resume?: string | undefined;
}

export interface AppendedChunk {
  readonly chunk: number;
  /** Of all chunks of the source that are there. */
  readonly storedBytes: number;
}

/** Whatever the role's default says: COMMIT is answered after fsync. */
const durable = `durable AS (SELECT set_config('synchronous_commit', 'on', true))`;
/** Takes the next number; the row stays locked until COMMIT. */
const nextNumber = `
  INSERT INTO millrace.intakes AS i (source, last_chunk, stored_bytes, resume)
  SELECT $1, 1, length($3::bytea), $4 FROM durable
  ON CONFLICT (source) DO UPDATE
    SET last_chunk = i.last_chunk + 1, stored_bytes = i.stored_bytes + EXCLUDED.stored_bytes,
        resume = coalesce(EXCLUDED.resume, i.resume)
  RETURNING last_chunk, stored_bytes`;

/** Appends a chunk; durable when it resolves. One statement, so one round trip. */
export async function appendChunk(db: Queryable, chunk: NewChunk): Promise<AppendedChunk> {
  const { rows } = await db.query<AppendedChunk>(
    `WITH ${durable}, head AS (${nextNumber})
     INSERT INTO millrace.intake_chunks (source, chunk, events, bytes, content)
     SELECT $1, last_chunk, $2, length($3::bytea), $3::bytea FROM head
     RETURNING chunk, (SELECT stored_bytes FROM head) AS "storedBytes"`,
    [chunk.source, chunk.events, chunk.content, chunk.resume ?? null],
  );
  return must(rows[0], 'the appended chunk');
}

/**
 * Appends a body that cannot be parsed, unless the same one came before; answers the id under
 * which it is kept.
 */
export async function appendUnparsedBody(
  catalog: Catalog,
  body: NewChunk & { readonly sha256: string; readonly eventId: string },
): Promise<{ readonly eventId: string; readonly appended: AppendedChunk | null }> {
  const { source, sha256, eventId } = body;
  return catalog.transaction(async (tx) => {
    const { rowCount } = await tx.query(
      `INSERT INTO millrace.unparsed_bodies (source, sha256, event_id) VALUES ($1, $2, $3)
       ON CONFLICT DO NOTHING`,
      [source, sha256, eventId],
    );
    if (rowCount === 1) return { eventId, appended: await appendChunk(tx, body) };
    const { rows } = await tx.query<{ eventId: string }>(
      `SELECT event_id AS "eventId" FROM millrace.unparsed_bodies WHERE source = $1 AND sha256 = $2`,
      [source, sha256],
    );
    return { eventId: rows[0]?.eventId ?? eventId, appended: null };
  });
}

const pageBytes = 4 * 2 ** 20;
const pageChunks = 5_000;

export function createIntakeReader(db: Queryable): IntakeReader {
  return {
    sizes: (source, from, limit) => readSizes(db, { source, from, limit }),
    read: (source, from, to) => readChunks(db, { source, from, to }),
    firstSince: (source, time) => findFirstSince(db, source, time),
  };
}

async function findFirstSince(db: Queryable, source: string, time: Date): Promise<number | null> {
  const { rows } = await db.query<{ chunk: number }>(
    `SELECT chunk FROM millrace.intake_chunks
      WHERE source = $1 AND received_at >= $2 ORDER BY chunk LIMIT 1`,
    [source, time.toISOString()],
  );
  return rows[0]?.chunk ?? null;
}

async function readSizes(
  db: Queryable,
  { source, from, limit }: { source: string; from: number; limit: number },
): Promise<readonly ChunkSize[]> {
  const { rows } = await db.query<ChunkSize>(
    `SELECT chunk, events, bytes FROM millrace.intake_chunks
      WHERE source = $1 AND chunk >= $2 ORDER BY chunk LIMIT $3`,
    [source, from, limit],
  );
  return rows;
}

async function* readChunks(
  db: Queryable,
  { source, from, to }: { source: string; from: number; to: number },
): AsyncIterable<StoredChunk> {
  for (let next = from; next < to;) {
    const { rows } = await db.query<StoredChunk>(
      `SELECT chunk, content
         FROM (SELECT chunk, content, sum(bytes) OVER (ORDER BY chunk) - bytes AS before
                 FROM millrace.intake_chunks
                WHERE source = $1 AND chunk >= $2 AND chunk < $3
                ORDER BY chunk LIMIT ${pageChunks}) AS page
        WHERE before < ${pageBytes} ORDER BY chunk`,
      [source, next, to],
    );
    const last = rows.at(-1);
    if (!last) return;
    yield* rows;
    next = last.chunk + 1;
  }
}

/** Sources with chunks behind the head of their lane: nobody has planned them yet. */
export async function sourcesWithUnplannedChunks(
  db: Queryable,
  lane: string,
): Promise<readonly string[]> {
  const { rows } = await db.query<{ source: string }>(
    `SELECT i.source FROM millrace.intakes i
       LEFT JOIN millrace.lanes l ON l.source = i.source AND l.lane = $1
      WHERE i.last_chunk >= coalesce(l.head::bigint, 1)`,
    [lane],
  );
  return rows.map(({ source }) => source);
}

/** How much of each source is there. */
export async function storedBytes(
  db: Queryable,
): Promise<readonly { readonly source: string; readonly bytes: number }[]> {
  const { rows } = await db.query<{ source: string; bytes: number }>(
    'SELECT source, stored_bytes AS bytes FROM millrace.intakes',
  );
  return rows;
}

/** The lowest chunk that is there, of each source that has any. */
export async function lowestChunks(
  db: Queryable,
): Promise<readonly { readonly source: string; readonly chunk: number; readonly bytes: number }[]> {
  const { rows } = await db.query<{ source: string; chunk: number; bytes: number }>(
    `SELECT source, stored_bytes AS bytes, lowest.chunk
       FROM millrace.intakes i, LATERAL (
         SELECT chunk FROM millrace.intake_chunks c WHERE c.source = i.source
          ORDER BY chunk LIMIT 1) AS lowest`,
  );
  return rows;
}

/**
 * Removes the chunks of the batch that begins at `from`, the lowest position of its lane, if all of
 * its deliveries were settled, or discarded, before a time; answers how many. What is not planned has
 * no batch; nor have chunks that a person moved the head over: they go when they are as old.
 */
export async function removeSettledChunks(
  catalog: Catalog,
  input: {
    readonly source: string;
    readonly lane: string;
    readonly from: string;
    readonly settledBefore: Date;
  },
): Promise<number> {
  const { rows } = await catalog.query<{ removed: number }>(
    `WITH next AS (
       SELECT to_position::bigint AS "end" FROM millrace.batches b
        WHERE run = 'live' AND source = $1 AND lane = $2 AND from_position = $3
          AND state IN ('settled', 'lost') AND settled_at < $4
          AND NOT EXISTS (SELECT FROM millrace.deliveries d
                           WHERE d.batch_id = b.batch_id AND d.state NOT IN ('settled', 'discarded'))),
     skipped AS (
       SELECT least(l.head, (SELECT min(from_position) FROM millrace.batches b
                              WHERE run = 'live' AND source = $1 AND lane = $2
                                AND from_position > $3))::bigint AS "end"
         FROM millrace.lanes l
        WHERE source = $1 AND lane = $2 AND head > $3 AND NOT EXISTS (
          SELECT FROM millrace.batches b
           WHERE run = 'live' AND source = $1 AND lane = $2
             AND from_position <= $3 AND to_position > $3)),
     gone AS (
       DELETE FROM millrace.intake_chunks c
        WHERE c.source = $1 AND (c.chunk < (SELECT "end" FROM next)
              OR (c.chunk < (SELECT "end" FROM skipped) AND c.received_at < $4))
       RETURNING c.bytes),
     less AS (
       UPDATE millrace.intakes SET stored_bytes = stored_bytes - (SELECT sum(bytes) FROM gone)
        WHERE source = $1 AND EXISTS (SELECT FROM gone))
     SELECT count(*) AS removed FROM gone`,
    [input.source, input.lane, input.from, input.settledBefore.toISOString()],
  );
  return rows[0]?.removed ?? 0;
}

/** Bodies that could not be parsed are known for so long; sent again later they are kept again. */
export async function forgetUnparsedBodies(db: Queryable, olderThanMs: number): Promise<void> {
  await db.query(
    `DELETE FROM millrace.unparsed_bodies WHERE received_at < now() - $1 * interval '1 millisecond'`,
    [olderThanMs],
  );
}
