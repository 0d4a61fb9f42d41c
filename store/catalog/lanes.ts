import type { FailureKind } from '../../core/failures.ts';
import type { Position } from '../../core/positions.ts';
import type { KnownLane, UnreadTail } from '../../core/source.ts';
import type { Queryable } from './catalog.ts';

export interface LaneRow {
  readonly source: string;
  readonly lane: string;
  readonly stream: string | null;
  readonly head: Position;
  readonly memo: string;
  readonly state: 'active' | 'stopped' | 'paused';
  readonly stopKind: string | null;
  readonly stopMessage: string | null;
  readonly unread: UnreadTail | null;
}

const columns = `source, lane, stream, head, memo, state, stop_kind AS "stopKind",
  stop_message AS "stopMessage", CASE WHEN unread_bytes IS NOT NULL
    THEN jsonb_build_object('bytes', unread_bytes, 'message', unread_message) END AS unread`;

interface LaneKey {
  readonly source: string;
  readonly lane: string;
}

interface Stop {
  readonly kind: FailureKind;
  readonly message: string;
}

export async function listLanes(db: Queryable, source: string): Promise<readonly LaneRow[]> {
  const { rows } = await db.query<LaneRow>(
    `SELECT ${columns} FROM millrace.lanes WHERE source = $1 ORDER BY lane`,
    [source],
  );
  return rows;
}

/** Lanes that may hold records of a stream (null: of any), by what was planned of them. */
export async function listLanesOf(
  db: Queryable,
  {
    source,
    lane,
    stream,
  }: { readonly source: string; readonly lane: string | null; readonly stream: string | null },
): Promise<readonly KnownLane[]> {
  const { rows } = await db.query<KnownLane>(
    `SELECT lane AS name, head, memo FROM millrace.lanes l
      WHERE source = $1 AND ($2::text IS NULL OR lane = $2)
        AND ($3::text IS NULL OR EXISTS (
          SELECT FROM millrace.batches b
           WHERE b.run = 'live' AND b.source = l.source AND b.lane = l.lane
             AND (b.stream IS NULL OR b.stream = $3)))
      ORDER BY lane`,
    [source, lane, stream],
  );
  return rows;
}

/** Lanes of all sources that do not move until somebody decides. */
export async function listStoppedLanes(db: Queryable): Promise<readonly LaneRow[]> {
  const { rows } = await db.query<LaneRow>(
    `SELECT ${columns} FROM millrace.lanes WHERE state <> 'active' ORDER BY source, lane`,
  );
  return rows;
}

/** Lanes that move, and leave something at their end unread that is no complete record. */
export async function listUnread(
  db: Queryable,
): Promise<readonly (LaneKey & { readonly unread: UnreadTail })[]> {
  const { rows } = await db.query<LaneKey & { readonly unread: UnreadTail }>(
    `SELECT ${columns} FROM millrace.lanes
      WHERE unread_bytes IS NOT NULL AND state = 'active' ORDER BY source, lane`,
  );
  return rows.map(({ source, lane, unread }) => ({ source, lane, unread }));
}

/** What was left unread is gone. */
export async function forgetUnread(db: Queryable, { source, lane }: LaneKey): Promise<void> {
  await db.query(
    `UPDATE millrace.lanes SET unread_bytes = NULL, unread_message = NULL
      WHERE source = $1 AND lane = $2`,
    [source, lane],
  );
}

/** A lane seen for the first time. Whoever is second changes nothing. */
export async function insertLane(
  db: Queryable,
  lane: LaneKey & { readonly stream?: string; readonly start: Position; readonly memo: string },
): Promise<void> {
  await db.query(
    `INSERT INTO millrace.lanes (source, lane, stream, head, memo) VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT DO NOTHING`,
    [lane.source, lane.lane, lane.stream ?? null, lane.start, lane.memo],
  );
}

/**
 * A lane whose row is gone while batches of it are there: its position is behind the newest of
 * them, and it waits under `stop` until a person asks for its source. False where nothing was ever
 * planned of the lane.
 */
export async function restoreLane(
  db: Queryable,
  lane: LaneKey & { readonly stream?: string; readonly stop: Stop },
): Promise<boolean> {
  const { kind, message } = lane.stop;
  const { rowCount } = await db.query(
    `INSERT INTO millrace.lanes (source, lane, stream, head, memo, state, stop_kind, stop_message)
     SELECT source, lane, $3, to_position, memo, 'paused', $4, $5 FROM millrace.batches
      WHERE run = 'live' AND source = $1 AND lane = $2 ORDER BY plan_order DESC LIMIT 1
     ON CONFLICT DO NOTHING`,
    [lane.source, lane.lane, lane.stream ?? null, kind, message],
  );
  return rowCount > 0;
}

/** Planning of this lane stops under a name, until it is resumed. */
export async function stopLane(db: Queryable, stop: LaneKey & Stop): Promise<void> {
  await db.query(
    `UPDATE millrace.lanes SET state = 'stopped', stop_kind = $3, stop_message = $4
      WHERE source = $1 AND lane = $2 AND state <> 'paused'`,
    [stop.source, stop.lane, stop.kind, stop.message],
  );
}

export async function resumeLane(db: Queryable, { source, lane }: LaneKey): Promise<void> {
  await db.query(
    `UPDATE millrace.lanes SET state = 'active', stop_kind = NULL, stop_message = NULL, fruitless = 0
      WHERE source = $1 AND lane = $2 AND state <> 'active'`,
    [source, lane],
  );
}

/** A person asked for this source: lanes that paused after fruitless batches go on. */
export async function resumePausedLanes(db: Queryable, source: string): Promise<number> {
  const { rowCount } = await db.query(
    `UPDATE millrace.lanes SET state = 'active', stop_kind = NULL, stop_message = NULL, fruitless = 0
      WHERE source = $1 AND state = 'paused'`,
    [source],
  );
  return rowCount;
}

/**
 * Keeps a new note without new data, and what is left unread, unless the head moved meanwhile and
 * brought its own.
 */
export async function saveMemo(
  db: Queryable,
  at: LaneKey & {
    readonly memo: string;
    readonly expectedHead: Position;
    readonly unread?: UnreadTail | undefined;
  },
): Promise<void> {
  await db.query(
    `UPDATE millrace.lanes SET memo = $3, unread_bytes = $5, unread_message = $6
      WHERE source = $1 AND lane = $2 AND head = $4`,
    [
      at.source,
      at.lane,
      at.memo,
      at.expectedHead,
      at.unread?.bytes ?? null,
      at.unread?.message ?? null,
    ],
  );
}
