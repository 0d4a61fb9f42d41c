import type { Catalog, Queryable, Transaction } from './catalog.ts';
import { recordDecision } from './decisions.ts';
import { wantSync } from './wanted-syncs.ts';

export interface PausedSource {
  readonly source: string;
  readonly pipeline: string;
  readonly pausedAt: string;
  readonly pausedBy: string;
}

export interface PauseOrder {
  readonly source: string;
  readonly pipeline: string;
  readonly author: string;
}

/**
 * From now on nothing new of the source is planned; what is planned goes on. A plan that is being
 * written is waited for. False: it was paused before.
 */
export async function pauseSource(catalog: Catalog, order: PauseOrder): Promise<boolean> {
  const { source, pipeline, author } = order;
  return catalog.transaction(async (tx) => {
    await lockPlanning(tx, source);
    const { rowCount } = await tx.query(
      `INSERT INTO millrace.paused_sources (source, pipeline, paused_by) VALUES ($1, $2, $3)
       ON CONFLICT DO NOTHING`,
      [source, pipeline, author],
    );
    if (rowCount === 1) await recordDecision(tx, { author, action: 'pause', subject: pipeline });
    return rowCount === 1;
  });
}

/** The source is planned again, at once: the wish for a sync is stored too. False: it was not paused. */
export async function resumeSource(catalog: Catalog, order: PauseOrder): Promise<boolean> {
  const { source, pipeline, author } = order;
  return catalog.transaction(async (tx) => {
    const { rowCount } = await tx.query('DELETE FROM millrace.paused_sources WHERE source = $1', [
      source,
    ]);
    if (rowCount === 0) return false;
    await wantSync(tx, source);
    await recordDecision(tx, { author, action: 'resume', subject: pipeline });
    return true;
  });
}

export async function listPaused(db: Queryable): Promise<readonly PausedSource[]> {
  const { rows } = await db.query<PausedSource>(
    `SELECT source, pipeline, paused_at AS "pausedAt", paused_by AS "pausedBy"
       FROM millrace.paused_sources ORDER BY source`,
  );
  return rows;
}

export async function isPaused(db: Queryable, source: string): Promise<boolean> {
  const { rows } = await db.query('SELECT FROM millrace.paused_sources WHERE source = $1', [
    source,
  ]);
  return rows.length > 0;
}

/** Whether a plan may be written in this transaction. A pause waits until it is over. */
export async function mayPlan(tx: Transaction, source: string): Promise<boolean> {
  await tx.query(`SELECT pg_advisory_xact_lock_shared(${planningLock})`, [source]);
  return !(await isPaused(tx, source));
}

/** No plan of the source is written until this transaction is over. */
export async function lockPlanning(tx: Transaction, source: string): Promise<void> {
  await tx.query(`SELECT pg_advisory_xact_lock(${planningLock})`, [source]);
}

const planningLock = 'hashtextextended($1, 7)';
