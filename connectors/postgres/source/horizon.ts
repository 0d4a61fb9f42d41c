import { must, PipelineError } from '../../../core/errors.ts';
import { quoteLiteral } from '../sql-names.ts';
import { applicationName } from './faults.ts';
import type { Bound } from './memo.ts';
import type { Query } from './tables.ts';

/** Which transactions are open. All times are the database's own, in microseconds since 1970. */
export interface Horizon {
  /** Read before the sessions were looked at. */
  readonly clock: bigint;
  /** Start of the oldest transaction that a session has open. */
  readonly oldest: bigint | null;
  /** When the oldest prepared transaction was prepared; it may have begun long before. */
  readonly prepared: bigint | null;
  /** Read after the sessions were looked at. */
  readonly end: bigint;
}

const micros = (time: string) => `(extract(epoch FROM ${time}) * 1000000)::bigint::text`;

/**
 * Each statement is one of its own: within a transaction PostgreSQL would show sessions as they
 * were at the first look. Sessions before prepared transactions: who goes from one to the other
 * meanwhile is seen twice, never not at all.
 * @throws PipelineError `invalid-config` where transactions cannot be seen
 */
export async function readHorizon(query: Query): Promise<Horizon> {
  const [now] = await query<{ clock: string; standby: boolean }>(
    `SELECT ${micros('clock_timestamp()')} AS clock, pg_is_in_recovery() AS standby`,
  );
  const { clock, standby } = must(now);
  if (standby) throw onStandby();
  const oldest = await readSessions(query);
  const [rest] = await query<{ prepared: string | null; end: string }>(
    `SELECT ${micros('min(prepared)')} AS prepared, ${micros('clock_timestamp()')} AS end
       FROM pg_prepared_xacts WHERE database = current_database()`,
  );
  const { prepared, end } = must(rest);
  return { clock: BigInt(clock), oldest, prepared: toBigInt(prepared), end: BigInt(end) };
}

/**
 * Start of the oldest transaction that may write. Vacuum and our own sessions do not. All
 * transactions of one message show the time of the message: between two of them nothing is open,
 * and the next one begins in the past.
 */
async function readSessions(query: Query): Promise<bigint | null> {
  const [row] = await query<{ oldest: string | null; hidden: boolean; role: string }>(
    `SELECT ${micros(`min(coalesce(xact_start, CASE WHEN state = 'active' THEN query_start END))`)} AS oldest, current_user AS role,
            coalesce(bool_or(usename IS NOT NULL AND (state = 'disabled'
              OR (state IS NULL AND query = '<insufficient privilege>'))), false) AS hidden
       FROM pg_stat_activity
      WHERE datname = current_database() AND pid <> pg_backend_pid()
        AND coalesce(backend_type, '') NOT IN ('autovacuum worker', 'walsender')
        AND NOT (coalesce(application_name, '') = ${quoteLiteral(applicationName)}
                 AND usename = current_user)`,
  );
  const sessions = must(row);
  if (sessions.hidden) throw hidden(sessions.role);
  return toBigInt(sessions.oldest);
}

function toBigInt(text: string | null): bigint | null {
  return text === null ? null : BigInt(text);
}

/** The bound without the waits that are over. */
export function settle(pending: Bound, { oldest, prepared, end }: Horizon): Bound {
  let { prepared: preparedBy } = pending;
  if (pending.since !== undefined) {
    if (oldest !== null && oldest <= pending.since) return pending;
    // Whoever was open then has ended, or was prepared by now.
    preparedBy = end;
  }
  const { bound } = pending;
  if (preparedBy !== undefined && prepared !== null && prepared <= preparedBy) {
    return { bound, prepared: preparedBy };
  }
  return { bound };
}

export function isSafe({ since, prepared }: Bound): boolean {
  return since === undefined && prepared === undefined;
}

/** The latest time before which no row can appear any more, once its prepared transactions ended. */
export function safeTime({ clock, oldest }: Horizon, lagMs: number): bigint {
  const earliest = oldest !== null && oldest < clock ? oldest : clock;
  return earliest - BigInt(lagMs) * 1000n - 1n;
}

function onStandby(): PipelineError {
  return new PipelineError(
    'invalid-config',
    'the database is a standby, which does not show the open transactions of its primary: follow tables by a cursor at the primary',
  );
}

function hidden(role: string): PipelineError {
  return new PipelineError(
    'invalid-config',
    `other users are connected whose transactions this user cannot see, so rows could be missed: GRANT pg_read_all_stats TO "${role}" (and leave track_activities on)`,
  );
}
