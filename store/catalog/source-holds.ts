import type { FailureKind } from '../../core/failures.ts';
import type { Catalog, Queryable, Transaction } from './catalog.ts';

export interface SourceHold {
  readonly source: string;
  readonly kind: FailureKind;
  readonly message: string;
}

/** Nothing more is planned, loaded or taken in for this source until it is released. */
export async function holdSource(db: Queryable, hold: SourceHold): Promise<void> {
  await db.query(
    `INSERT INTO millrace.source_holds (source, kind, message) VALUES ($1, $2, $3)
     ON CONFLICT (source) DO NOTHING`,
    [hold.source, hold.kind, hold.message],
  );
}

/**
 * Holds a source for what was found a moment ago, if it is so still: whoever recovers it at this
 * very moment is waited for.
 */
export async function holdSourceIf(
  catalog: Catalog,
  hold: SourceHold,
  isStillSo: (tx: Transaction) => Promise<boolean>,
): Promise<void> {
  await catalog.transaction(async (tx) => {
    await lockHold(tx, hold.source);
    if (await isStillSo(tx)) await holdSource(tx, hold);
  });
}

async function lockHold(tx: Queryable, source: string): Promise<void> {
  await tx.query(`SELECT pg_advisory_xact_lock(hashtextextended('hold ' || $1, 5))`, [source]);
}

export async function readHold(db: Queryable, source: string): Promise<SourceHold | null> {
  const { rows } = await db.query<SourceHold>(
    'SELECT source, kind, message FROM millrace.source_holds WHERE source = $1',
    [source],
  );
  return rows[0] ?? null;
}

export async function listHolds(db: Queryable): Promise<readonly SourceHold[]> {
  const { rows } = await db.query<SourceHold>(
    'SELECT source, kind, message FROM millrace.source_holds ORDER BY source',
  );
  return rows;
}
/** Answers whether it was held. */
export async function releaseSource(tx: Transaction, source: string): Promise<boolean> {
  await lockHold(tx, source);
  const { rowCount } = await tx.query('DELETE FROM millrace.source_holds WHERE source = $1', [
    source,
  ]);
  return rowCount === 1;
}
