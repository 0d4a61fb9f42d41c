import type pg from 'pg';
import type { TakenIds } from '../../core/destination.ts';

/** `seen_at` grows with the table: a block range index is enough to find what is old. */
export const createEventIds = `
  CREATE TABLE IF NOT EXISTS _millrace.event_ids (
    source text NOT NULL,
    event_id text COLLATE "C" NOT NULL,
    raw_sha256 text NOT NULL,
    seen_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (source, event_id)
  );
  CREATE INDEX IF NOT EXISTS event_ids_seen ON _millrace.event_ids USING brin (seen_at);`;

const stage = 'pg_temp.millrace_event_ids';

export const idColumns = 'event_id, raw_sha256, ordinal';

/** An empty temporary table for the ids of a batch, gone with the transaction. */
export async function createIdStage(client: pg.ClientBase): Promise<string> {
  await client.query(
    `CREATE TEMPORARY TABLE millrace_event_ids
       (event_id text COLLATE "C", raw_sha256 text, ordinal bigint) ON COMMIT DROP`,
  );
  return stage;
}

/**
 * Takes the staged ids for this transaction, in their order, so that two loads cannot wait for each
 * other. Those that were there are looked at in a statement of their own: one that waited for its
 * twin does not see it yet.
 * @param resends events come again on purpose: the same bytes are the event itself
 */
export async function takeStagedIds(
  client: pg.ClientBase,
  source: string,
  resends: boolean,
): Promise<TakenIds> {
  await client.query(`ANALYZE ${stage}`);
  await client.query(
    `INSERT INTO _millrace.event_ids (source, event_id, raw_sha256)
     SELECT DISTINCT ON (event_id) $1, event_id, raw_sha256 FROM ${stage}
      ORDER BY event_id, ordinal
     ON CONFLICT DO NOTHING`,
    [source],
  );
  const { rows } = await client.query<{ ordinal: number; same: boolean }>(
    `SELECT ordinal, same
       FROM (SELECT s.ordinal, t.raw_sha256 = s.raw_sha256 AS same,
                    t.xmin = pg_current_xact_id()::xid AS ours,
                    row_number() OVER (PARTITION BY s.event_id ORDER BY s.ordinal) AS place
               FROM ${stage} s
               JOIN _millrace.event_ids t ON t.source = $1 AND t.event_id = s.event_id) AS taken
      WHERE NOT (ours AND place = 1) AND NOT (same AND $2)
      ORDER BY ordinal`,
    [source, resends],
  );
  const ordinals = (same: boolean) =>
    rows.filter((row) => row.same === same).map(({ ordinal }) => Number(ordinal));
  return { duplicates: ordinals(true), conflicts: ordinals(false) };
}

/** Answers how many were forgotten. */
export async function forgetIds(client: pg.ClientBase, olderThanMs: number): Promise<number> {
  const { rowCount } = await client.query(
    `DELETE FROM _millrace.event_ids WHERE seen_at < now() - $1 * interval '1 millisecond'`,
    [olderThanMs],
  );
  return rowCount ?? 0;
}
