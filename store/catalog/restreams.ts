import { must, PipelineError } from '../../core/errors.ts';
import type { RecordContext } from '../../core/records.ts';
import type { Catalog, Queryable, Transaction } from './catalog.ts';
import { recordDecision } from './decisions.ts';
import { changeGroups } from './group-counts.ts';

export interface RestreamCut {
  readonly n: number;
  readonly from: string;
  readonly to: string;
}

export interface FreezeInput {
  readonly restreamId: string;
  readonly groupId: string;
  readonly requestedBy: string;
  readonly batchSize: number;
  readonly cutsOf: (count: number, batchSize: number) => readonly RestreamCut[];
  readonly batchIdOf: (cut: RestreamCut) => string;
}

/**
 * Claims the open events of a group for a restream and cuts them into batches, in one transaction.
 * The same restream again finds what it claimed the first time. Answers the number of events.
 */
export async function freezeRestream(catalog: Catalog, input: FreezeInput): Promise<number> {
  return catalog.transaction(async (tx) => {
    const group = await lockGroup(tx, input.groupId);
    const { rows } = await tx.query<{ event_count: number; state: RestreamState }>(
      'SELECT event_count, state FROM millrace.restreams WHERE restream_id = $1',
      [input.restreamId],
    );
    if (rows[0] && rows[0].state !== 'asked') return rows[0].event_count;
    const count = await claimOpen(tx, input);
    await fulfilOthers(tx, input);
    await tx.query(
      `INSERT INTO millrace.restreams (restream_id, group_id, event_count, requested_by, state, settled_at)
       VALUES ($1, $2, $3::bigint, $4, $5, CASE WHEN $3::bigint = 0 THEN now() END)
       ON CONFLICT (restream_id) DO UPDATE
         SET event_count = excluded.event_count, state = excluded.state, settled_at = excluded.settled_at`,
      [
        input.restreamId,
        input.groupId,
        count,
        input.requestedBy,
        count === 0 ? 'settled' : 'running',
      ],
    );
    if (count > 0) await planRestream(tx, input, { count, ...group });
    return count;
  });
}

/** A claim takes every open event of its group: with it all that was asked for is done. */
async function fulfilOthers(
  tx: Transaction,
  { restreamId, groupId }: Pick<FreezeInput, 'restreamId' | 'groupId'>,
): Promise<void> {
  await tx.query(
    `UPDATE millrace.restreams SET state = 'settled', settled_at = now()
      WHERE group_id = $1 AND state = 'asked' AND restream_id <> $2`,
    [groupId, restreamId],
  );
}

/**
 * Keeps a request to restream the open events of a group until they are claimed, whatever becomes
 * of Temporal. Answers the id under which it will run, that of an earlier request where that still
 * waits; null where no event is open.
 */
export async function askForRestream(
  catalog: Catalog,
  asked: { readonly restreamId: string; readonly groupId: string; readonly author: string },
): Promise<string | null> {
  const { restreamId, groupId, author } = asked;
  return catalog.transaction(async (tx) => {
    await lockGroup(tx, groupId);
    const { rows } = await tx.query<{ id: string }>(
      `SELECT restream_id AS id FROM millrace.restreams WHERE group_id = $1 AND state = 'asked'`,
      [groupId],
    );
    if (rows[0]) return rows[0].id;
    const { rowCount } = await tx.query(
      `INSERT INTO millrace.restreams (restream_id, group_id, event_count, requested_by, state)
       SELECT $1, group_id, 0, $3, 'asked' FROM millrace.failure_groups
        WHERE group_id = $2 AND open_count > 0`,
      [restreamId, groupId, author],
    );
    if (rowCount === 0) return null;
    const details = { restream: restreamId };
    await recordDecision(tx, { author, action: 'retry', subject: groupId, details });
    return restreamId;
  });
}

interface GroupRoute {
  readonly source: string;
  readonly stream: string;
  readonly destination: string;
}

async function lockGroup(tx: Transaction, groupId: string): Promise<GroupRoute> {
  const { rows } = await tx.query<GroupRoute>(
    'SELECT source, stream, destination FROM millrace.failure_groups WHERE group_id = $1 FOR UPDATE',
    [groupId],
  );
  return must(rows[0], 'the failure group');
}

async function claimOpen(tx: Transaction, { restreamId, groupId }: FreezeInput): Promise<number> {
  const { rowCount } = await tx.query(
    `UPDATE millrace.failure_records r
        SET state = 'restreaming', restream_id = $1, restream_ordinal = o.place
       FROM (SELECT record_id, row_number() OVER (ORDER BY record_id) - 1 AS place
               FROM millrace.failure_records WHERE group_id = $2 AND state = 'open') o
      WHERE r.record_id = o.record_id`,
    [restreamId, groupId],
  );
  return rowCount;
}

async function planRestream(
  tx: Transaction,
  input: FreezeInput,
  { count, source, stream, destination }: GroupRoute & { count: number },
): Promise<void> {
  const { restreamId, groupId, requestedBy } = input;
  const cuts = input.cutsOf(count, input.batchSize);
  const ids = cuts.map((cut) => input.batchIdOf(cut));
  await tx.query(
    `INSERT INTO millrace.batches (batch_id, run, source, lane, stream, from_position, to_position)
     SELECT batch_id, 'restream/' || $1, $2, 'restream', nullif($3, '*'), from_position, to_position
       FROM unnest($4::text[], $5::text[], $6::text[]) AS cut (batch_id, from_position, to_position)`,
    [restreamId, source, stream, ids, cuts.map(({ from }) => from), cuts.map(({ to }) => to)],
  );
  await tx.query(
    'INSERT INTO millrace.deliveries (batch_id, destination) SELECT unnest($1::text[]), $2',
    [ids, destination],
  );
  await changeGroups(tx, [{ groupId, open: -count, restreaming: count, total: 0 }]);
  const details = { events: count, restream: restreamId };
  await recordDecision(tx, { author: requestedBy, action: 'retry', subject: groupId, details });
}

export interface RestreamEvent {
  readonly ordinal: number;
  readonly stream: string;
  readonly eventId: string;
  readonly raw: Uint8Array;
  readonly context: RecordContext;
  readonly lineNumber: number | null;
  readonly version: string;
}

const pageRows = 500;

/** Events `from`..`to` of a restream in order, page by page. */
export async function* readRestreamEvents(
  db: Queryable,
  {
    restreamId,
    from,
    to,
  }: { readonly restreamId: string; readonly from: number; readonly to: number },
): AsyncIterable<readonly RestreamEvent[]> {
  for (let first = from; first < to; first += pageRows) {
    const { rows } = await db.query<RestreamEvent>(
      `SELECT restream_ordinal AS ordinal, stream, event_id AS "eventId", raw, context,
              line_number AS "lineNumber", version
         FROM millrace.failure_records
        WHERE restream_id = $1 AND restream_ordinal >= $2 AND restream_ordinal < $3
        ORDER BY restream_ordinal`,
      [restreamId, first, Math.min(to, first + pageRows)],
    );
    if (rows.length < Math.min(to, first + pageRows) - first) {
      throw new PipelineError('extract-lost', `events of restream ${restreamId} are gone`);
    }
    yield rows;
  }
}

/** The lane and the end of the range that each event of a restream came with. */
export async function restreamOrigins(
  db: Queryable,
  range: { readonly restreamId: string; readonly from: number; readonly to: number },
): Promise<readonly { readonly ordinal: number; readonly lane: string; readonly end: string }[]> {
  const { rows } = await db.query<{ ordinal: number; lane: string; end: string }>(
    `SELECT restream_ordinal AS ordinal, r.lane, coalesce(b.to_position, '') AS "end"
       FROM millrace.failure_records r LEFT JOIN millrace.batches b USING (batch_id)
      WHERE restream_id = $1 AND restream_ordinal >= $2 AND restream_ordinal < $3`,
    [range.restreamId, range.from, range.to],
  );
  return rows;
}

export interface RunningRestream extends GroupRoute {
  readonly restreamId: string;
  readonly groupId: string;
  readonly eventCount: number;
}

/** Restreams that were asked for and claimed nothing yet, and those with batches that could run now. */
export async function runningRestreams(db: Queryable): Promise<readonly RunningRestream[]> {
  const { rows } = await db.query<RunningRestream>(
    `SELECT restream_id AS "restreamId", group_id AS "groupId",
            CASE WHEN r.state = 'asked' THEN g.open_count ELSE event_count END AS "eventCount",
            g.source, g.stream, g.destination
       FROM millrace.restreams r JOIN millrace.failure_groups g USING (group_id)
      WHERE r.state = 'asked' OR r.state = 'running' AND EXISTS (
        SELECT FROM millrace.batches b JOIN millrace.deliveries d USING (batch_id)
         WHERE b.run = 'restream/' || r.restream_id AND d.state = 'pending')
      ORDER BY r.created_at`,
  );
  return rows;
}

/** Asked for; its events are claimed; over. */
export type RestreamState = 'asked' | 'running' | 'settled';

export interface RestreamRow {
  readonly restreamId: string;
  readonly groupId: string;
  readonly state: RestreamState;
  readonly eventCount: number;
  readonly resolved: number;
  /** Failed again. */
  readonly open: number;
}

/** @throws PipelineError `not-found` */
export async function readRestream(db: Queryable, restreamId: string): Promise<RestreamRow> {
  const { rows } = await db.query<RestreamRow>(
    `SELECT restream_id AS "restreamId", r.group_id AS "groupId", r.state, event_count AS "eventCount",
            count(*) FILTER (WHERE f.state = 'resolved') AS resolved,
            count(*) FILTER (WHERE f.state = 'open') AS open
       FROM millrace.restreams r LEFT JOIN millrace.failure_records f USING (restream_id)
      WHERE restream_id = $1 GROUP BY restream_id`,
    [restreamId],
  );
  if (rows[0]) return rows[0];
  throw new PipelineError('not-found', `there is no restream ${restreamId}`);
}

/** Batches of a restream that can still run, oldest first; `waiting` for an absent destination. */
export async function unsettledRestreamBatches(
  db: Queryable,
  restreamId: string,
): Promise<readonly { readonly batchId: string; readonly waiting: boolean }[]> {
  const { rows } = await db.query<{ batchId: string; waiting: boolean }>(
    `SELECT b.batch_id AS "batchId", d.state = 'waiting' AS waiting
       FROM millrace.batches b JOIN millrace.deliveries d USING (batch_id)
      WHERE b.run = 'restream/' || $1 AND b.state IN ('planned', 'extracted')
        AND d.state IN ('pending', 'waiting')
      ORDER BY b.plan_order`,
    [restreamId],
  );
  return rows;
}
