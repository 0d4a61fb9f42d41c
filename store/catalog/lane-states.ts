import { PipelineError } from '../../core/errors.ts';
import type { Position } from '../../core/positions.ts';
import type { Catalog, Queryable, Transaction } from './catalog.ts';
import { recordDecision } from './decisions.ts';
import { isPaused } from './pauses.ts';

/** Where a lane stands, for people. */
export interface LaneState {
  readonly lane: string;
  /** Null: its records say it themselves. */
  readonly stream: string | null;
  /** All before it is planned. */
  readonly head: Position;
  /** All before it is settled. */
  readonly settledHead: Position;
  /** Batches between the two. */
  readonly openBatches: number;
  readonly state: 'active' | 'stopped' | 'paused';
  readonly stopKind: string | null;
  readonly stopMessage: string | null;
}

export async function listLaneStates(db: Queryable, source: string): Promise<readonly LaneState[]> {
  const { rows } = await db.query<LaneState>(
    `SELECT l.lane, l.stream, l.head, coalesce(o.first, l.head) AS "settledHead",
            o.open AS "openBatches", l.state, l.stop_kind AS "stopKind",
            l.stop_message AS "stopMessage"
       FROM millrace.lanes l
       CROSS JOIN LATERAL (
         SELECT count(*) AS open, (array_agg(from_position ORDER BY plan_order))[1] AS first
           FROM millrace.batches b
          WHERE b.run = 'live' AND b.source = l.source AND b.lane = l.lane
            AND b.state IN ('planned', 'extracted')) o
      WHERE l.source = $1 ORDER BY l.lane`,
    [source],
  );
  return rows;
}

export interface HeadMove {
  readonly source: string;
  readonly lane: string;
  readonly from: Position;
  readonly to: Position;
  /** The connector's note that goes with the new head. */
  readonly memo: string;
  readonly author: string;
}

/**
 * A person moves the head of a lane that stands still. Forward it leaves out what lies between;
 * back only over what was left out before: ranges that were planned are read again by a backfill,
 * which looks at what is there.
 * @throws PipelineError `conflict`: nothing was changed
 */
export async function setHead(catalog: Catalog, move: HeadMove): Promise<void> {
  const { source, lane, from, to, memo, author } = move;
  await catalog.transaction(async (tx) => {
    const { rows } = await tx.query<{ head: Position; state: string }>(
      'SELECT head, state FROM millrace.lanes WHERE source = $1 AND lane = $2 FOR UPDATE',
      [source, lane],
    );
    const [row] = rows;
    if (row?.head !== from) throw conflict(`lane ${lane} moved meanwhile: look again`);
    if (row.state === 'active' && !(await isPaused(tx, source))) {
      throw conflict(`lane ${lane} is in use: pause its pipeline first`);
    }
    await refusePlanned(tx, move);
    await tx.query(
      'UPDATE millrace.lanes SET head = $3, memo = $4 WHERE source = $1 AND lane = $2',
      [source, lane, to, memo],
    );
    const details = { lane, from, to };
    await recordDecision(tx, { author, action: 'state set', subject: source, details });
  });
}

async function refusePlanned(tx: Transaction, { source, lane, to }: HeadMove): Promise<void> {
  const { rows } = await tx.query<{ stream: string | null }>(
    `SELECT stream FROM millrace.batches
      WHERE run = 'live' AND source = $1 AND lane = $2 AND to_position COLLATE "C" > $3 LIMIT 1`,
    [source, lane, to],
  );
  if (rows.length === 0) return;
  const stream = rows[0]?.stream ?? '…';
  throw conflict(
    `what lies behind this position was planned already: "backfill --stream ${stream} --lane ${lane} --from ${to}" reads it again and doubles nothing`,
  );
}

function conflict(message: string): PipelineError {
  return new PipelineError('conflict', message);
}
