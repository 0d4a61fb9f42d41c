import { PipelineError } from '../../core/errors.ts';
import type { Queryable } from './catalog.ts';

export interface GroupRow {
  readonly groupId: string;
  readonly title: string;
  readonly source: string;
  readonly stream: string;
  readonly destination: string;
  readonly stage: string;
  readonly kind: string;
  readonly field: string | null;
  readonly expected: string | null;
  readonly observed: string | null;
  readonly sqlState: string | null;
  readonly state: 'new' | 'ongoing' | 'resolved' | 'regressed' | 'discarded';
  readonly openCount: number;
  readonly restreamingCount: number;
  readonly totalCount: number;
  readonly firstFailedAt: string;
  readonly lastFailedAt: string;
}

const columns = `group_id AS "groupId", title, source, stream, destination, stage, kind, field, expected,
  observed, sql_state AS "sqlState", state, open_count AS "openCount",
  restreaming_count AS "restreamingCount", total_count AS "totalCount",
  first_failed_at AS "firstFailedAt", last_failed_at AS "lastFailedAt"`;

export async function listGroups(
  db: Queryable,
  filter: {
    readonly source?: string;
    readonly stream?: string;
    readonly state?: 'open' | 'all';
    readonly limit?: number;
  },
): Promise<readonly GroupRow[]> {
  const { rows } = await db.query<GroupRow>(
    `SELECT ${columns} FROM millrace.failure_groups
      WHERE ($1::text IS NULL OR source = $1) AND ($2::text IS NULL OR stream = $2)
        AND ($3 = 'all' OR open_count + restreaming_count > 0)
      ORDER BY open_count DESC, last_failed_at DESC, group_id LIMIT $4`,
    [filter.source ?? null, filter.stream ?? null, filter.state ?? 'open', filter.limit ?? 100],
  );
  return rows;
}

/**
 * One group by its id or a unique beginning of it.
 * @throws PipelineError `not-found`, `invalid-request` when several begin so.
 */
export async function readGroup(db: Queryable, groupId: string): Promise<GroupRow> {
  const { rows } = await db.query<GroupRow>(
    `SELECT ${columns} FROM millrace.failure_groups WHERE starts_with(group_id, $1) LIMIT 2`,
    [groupId],
  );
  if (rows.length > 1) {
    throw new PipelineError(
      'invalid-request',
      `several groups begin with ${groupId}: write more of the id`,
    );
  }
  if (rows[0] && groupId !== '') return rows[0];
  throw new PipelineError(
    'not-found',
    `there is no failure group ${groupId}: failed list shows them`,
  );
}

export interface FailedEventRow {
  readonly recordId: number;
  readonly eventId: string;
  readonly batchId: string;
  readonly ordinal: number;
  readonly message: string;
  readonly field: string | null;
  readonly attempts: number;
  readonly state: string;
  readonly lineNumber: number | null;
  readonly fileName: string | null;
  readonly firstFailedAt: string;
  readonly lastFailedAt: string;
  readonly rawSha256: string;
  /** Only where it was asked for. */
  readonly raw?: Buffer;
}

/** Events of a group, those that wait first. Raw bytes only on request. */
export async function listFailedEvents(
  db: Queryable,
  filter: { readonly groupId: string; readonly limit: number; readonly includeRaw?: boolean },
): Promise<readonly FailedEventRow[]> {
  const { rows } = await db.query<FailedEventRow>(
    `SELECT record_id AS "recordId", event_id AS "eventId", batch_id AS "batchId", ordinal, message, field,
            attempts, state, line_number AS "lineNumber", context ->> 'fileName' AS "fileName",
            first_failed_at AS "firstFailedAt", last_failed_at AS "lastFailedAt",
            raw_sha256 AS "rawSha256" ${filter.includeRaw ? ', raw' : ''}
       FROM millrace.failure_records
      WHERE group_id = $1 AND state <> 'provisional'
      ORDER BY state = 'open' DESC, record_id LIMIT $2`,
    [filter.groupId, filter.limit],
  );
  return rows;
}

/** Groups with events that wait or are on their way, the largest first. */
export async function groupsNeedingReview(
  db: Queryable,
  limit: number,
): Promise<readonly GroupRow[]> {
  const { rows } = await db.query<GroupRow>(
    `SELECT ${columns} FROM millrace.failure_groups
      WHERE open_count + restreaming_count > 0 ORDER BY open_count DESC, group_id LIMIT $1`,
    [limit],
  );
  return rows;
}
