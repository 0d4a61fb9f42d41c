import type { Queryable } from './catalog.ts';

/** Remembers that a source is to be synced until a plan finds nothing. Repeating is harmless. */
export async function wantSync(db: Queryable, source: string): Promise<void> {
  await db.query(
    `INSERT INTO millrace.wanted_syncs (source) VALUES ($1)
     ON CONFLICT (source) DO UPDATE SET requested_at = now()`,
    [source],
  );
}

/** The time of the request, to be handed back to `syncDone`; null when nobody asked. */
export async function wantedSince(db: Queryable, source: string): Promise<string | null> {
  const { rows } = await db.query<{ at: string }>(
    `SELECT requested_at::text AS at FROM millrace.wanted_syncs WHERE source = $1`,
    [source],
  );
  return rows[0]?.at ?? null;
}

/** Forgets the request that was read before the empty plan; a newer one stays. */
export async function syncDone(db: Queryable, source: string, since: string): Promise<void> {
  await db.query(
    `DELETE FROM millrace.wanted_syncs WHERE source = $1 AND requested_at = $2::timestamptz`,
    [source, since],
  );
}

export async function listWantedSyncs(db: Queryable): Promise<readonly string[]> {
  const { rows } = await db.query<{ source: string }>(`SELECT source FROM millrace.wanted_syncs`);
  return rows.map(({ source }) => source);
}
