import type { Queryable } from './catalog.ts';

/** Remembers that a source is to be synced until a plan has all that is there. Repeating is harmless. */
export async function wantSync(db: Queryable, source: string): Promise<void> {
  await db.query(
    `INSERT INTO millrace.wanted_syncs (source) VALUES ($1)
     ON CONFLICT (source) DO UPDATE SET requested_at = now()`,
    [source],
  );
}

export interface WantedSync {
  /** To be handed back to `syncDone`. */
  readonly at: string;
  readonly agoMs: number;
}

/** The last request; null when nobody asked. */
export async function findWantedSync(db: Queryable, source: string): Promise<WantedSync | null> {
  const { rows } = await db.query<WantedSync>(
    `SELECT requested_at::text AS at,
            greatest(extract(epoch FROM clock_timestamp() - requested_at) * 1000, 0)::float8 AS "agoMs"
       FROM millrace.wanted_syncs WHERE source = $1`,
    [source],
  );
  return rows[0] ?? null;
}

/** Forgets the request that was read before the plan that has all; a newer one stays. */
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
