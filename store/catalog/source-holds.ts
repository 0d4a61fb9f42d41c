import type { FailureKind } from '../../core/failures.ts';
import type { Queryable } from './catalog.ts';

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
export async function releaseSource(db: Queryable, source: string): Promise<boolean> {
  const { rowCount } = await db.query('DELETE FROM millrace.source_holds WHERE source = $1', [
    source,
  ]);
  return rowCount === 1;
}
