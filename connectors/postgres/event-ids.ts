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
  CREATE INDEX IF NOT EXISTS event_ids_seen ON _millrace.event_ids USING brin (seen_at);
  CREATE TABLE IF NOT EXISTS _millrace.id_conflicts (
    source text NOT NULL,
    event_id text COLLATE "C" NOT NULL,
    raw_sha256 text NOT NULL,
    seen_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (source, event_id, raw_sha256)
  );
  CREATE INDEX IF NOT EXISTS id_conflicts_seen ON _millrace.id_conflicts USING brin (seen_at);`;

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

export interface IdClaim {
  readonly source: string;
  /** Events that take no id: another batch brings one that was received before. */
  readonly preceded: readonly number[];
  /** Events come again on purpose: the same bytes are the event itself. */
  readonly resends: boolean;
}

/**
 * Takes the staged ids for this transaction, in their order, so that two loads cannot wait for each
 * other. Those that were there are looked at in a statement of their own: one that waited for its
 * twin does not see it yet.
 */
export async function takeStagedIds(client: pg.ClientBase, claim: IdClaim): Promise<TakenIds> {
  const { source, preceded, resends } = claim;
  await client.query(`ANALYZE ${stage}`);
  await client.query(
    `INSERT INTO _millrace.event_ids (source, event_id, raw_sha256)
     SELECT DISTINCT ON (event_id) $1, event_id, raw_sha256 FROM ${stage}
      WHERE ordinal <> ALL ($2::bigint[])
      ORDER BY event_id, ordinal
     ON CONFLICT DO NOTHING`,
    [source, preceded],
  );
  const { rows } = await client.query<{ ordinal: string; same: boolean }>(
    `SELECT ordinal, same
       FROM (SELECT s.ordinal, coalesce(t.raw_sha256 = s.raw_sha256, false) AS same, s.preceded,
                    t.xmin = pg_current_xact_id()::xid AS ours,
                    row_number() OVER (PARTITION BY s.event_id, s.preceded ORDER BY s.ordinal) AS place
               FROM (SELECT *, ordinal = ANY ($2::bigint[]) AS preceded FROM ${stage}) s
               LEFT JOIN _millrace.event_ids t ON t.source = $1 AND t.event_id = s.event_id) AS taken
      WHERE (preceded OR NOT (ours AND place = 1)) AND NOT (same AND $3)
      ORDER BY ordinal`,
    [source, preceded, resends],
  );
  const ordinals = (same: boolean) =>
    rows.filter((row) => row.same === same).map(({ ordinal }) => Number(ordinal));
  const [duplicates, conflicts] = [ordinals(true), ordinals(false)];
  const parked = conflicts.length > 0 ? await noteConflicts(client, claim, conflicts) : [];
  if (parked.length === 0) return { duplicates, conflicts };
  const known = new Set(parked);
  return {
    duplicates: [...duplicates, ...parked].toSorted((a, b) => a - b),
    conflicts: conflicts.filter((ordinal) => !known.has(ordinal)),
  };
}

/** Answers which of these conflicts are parked already, by an earlier event with the same bytes. */
async function noteConflicts(
  client: pg.ClientBase,
  { source, resends }: IdClaim,
  conflicts: readonly number[],
): Promise<readonly number[]> {
  await client.query(
    `INSERT INTO _millrace.id_conflicts (source, event_id, raw_sha256)
     SELECT DISTINCT $1, event_id, raw_sha256 FROM ${stage} WHERE ordinal = ANY ($2::bigint[])
      ORDER BY event_id, raw_sha256
     ON CONFLICT DO NOTHING`,
    [source, conflicts],
  );
  if (resends) return [];
  const { rows } = await client.query<{ ordinal: string }>(
    `SELECT ordinal
       FROM (SELECT s.ordinal, c.xmin = pg_current_xact_id()::xid AS ours,
                    row_number() OVER (PARTITION BY s.event_id, s.raw_sha256 ORDER BY s.ordinal) AS place
               FROM ${stage} s JOIN _millrace.id_conflicts c
                 ON c.source = $1 AND c.event_id = s.event_id AND c.raw_sha256 = s.raw_sha256
              WHERE s.ordinal = ANY ($2::bigint[])) AS noted
      WHERE NOT (ours AND place = 1)`,
    [source, conflicts],
  );
  return rows.map(({ ordinal }) => Number(ordinal));
}

/** Answers how many ids were forgotten. */
export async function forgetIds(client: pg.ClientBase, olderThanMs: number): Promise<number> {
  const old = `seen_at < now() - $1 * interval '1 millisecond'`;
  await client.query(`DELETE FROM _millrace.id_conflicts WHERE ${old}`, [olderThanMs]);
  const { rowCount } = await client.query(`DELETE FROM _millrace.event_ids WHERE ${old}`, [
    olderThanMs,
  ]);
  return rowCount ?? 0;
}
