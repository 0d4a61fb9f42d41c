import type { FailureKind } from '../../core/failures.ts';
import type { Queryable } from './catalog.ts';

export interface DestinationState {
  readonly destination: string;
  readonly state: 'ok' | 'failing' | 'away';
  readonly failingSince: string | null;
  readonly kind: string | null;
  readonly message: string | null;
}

/** Notes one failed attempt; after `awayAfterMs` of nothing but failures the destination is away (0: at once). */
export async function noteDestinationFailure(
  db: Queryable,
  at: {
    readonly destination: string;
    readonly kind: FailureKind;
    readonly message: string;
    readonly awayAfterMs: number;
  },
): Promise<'failing' | 'away'> {
  const { rows } = await db.query<{ state: 'failing' | 'away' }>(
    `INSERT INTO millrace.destinations AS d (destination, state, failing_since, kind, message)
     VALUES ($1, CASE WHEN $4::float8 <= 0 THEN 'away' ELSE 'failing' END, now(), $2, $3)
     ON CONFLICT (destination) DO UPDATE SET
       kind = $2, message = $3, failing_since = coalesce(d.failing_since, now()),
       state = CASE WHEN now() - coalesce(d.failing_since, now()) >= $4::float8 * interval '1 millisecond'
                    THEN 'away' ELSE 'failing' END
     RETURNING state`,
    [at.destination, at.kind, at.message, at.awayAfterMs],
  );
  return rows[0]?.state ?? 'failing';
}

export async function noteDestinationUp(db: Queryable, destination: string): Promise<void> {
  await db.query(
    `UPDATE millrace.destinations
        SET state = 'ok', failing_since = NULL, kind = NULL, message = NULL
      WHERE destination = $1 AND state <> 'ok'`,
    [destination],
  );
}

/** `ok` where nothing was ever noted. */
export async function readDestinationState(
  db: Queryable,
  destination: string,
): Promise<Pick<DestinationState, 'state' | 'message'>> {
  const { rows } = await db.query<DestinationState>(
    'SELECT state, message FROM millrace.destinations WHERE destination = $1',
    [destination],
  );
  return rows[0] ?? { state: 'ok', message: null };
}

export async function readDestinationStates(db: Queryable): Promise<readonly DestinationState[]> {
  const { rows } = await db.query<DestinationState>(
    `SELECT destination, state, failing_since AS "failingSince", kind, message
       FROM millrace.destinations ORDER BY destination`,
  );
  return rows;
}
