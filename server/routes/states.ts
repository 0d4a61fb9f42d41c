import { Hono } from 'hono';
import type { z } from 'zod';
import { isPipelineError, PipelineError } from '../../core/errors.ts';
import type { ObservedLane, ReplayableSource } from '../../core/source.ts';
import { listLaneStates, setHead } from '../../store/catalog/lane-states.ts';
import { listLanes, type LaneRow } from '../../store/catalog/lanes.ts';
import { isPaused } from '../../store/catalog/pauses.ts';
import { readBody } from '../answers.ts';
import { setStateBody, type SetStateAnswer, type StateAnswer } from '../contract/states.ts';
import { readCurrent, requireBlock, type ServerContext } from '../context.ts';
import { openApplied } from '../open-connectors.ts';

const timeoutMs = 60_000;
/** Enough for a source to say whether it can go on from a position. */
const lookLimits = { maxBytes: 1024 * 1024, maxRecords: 1_000, maxRanges: 1 };

export function stateRoutes(server: ServerContext): Hono {
  return new Hono()
    .get('/:name/state', async (context) => {
      return context.json(await readState(server, context.req.param('name')));
    })
    .put('/:name/state', async (context) => {
      const order = await readBody(context, setStateBody);
      return context.json(await setState(server, context.req.param('name'), order));
    });
}

async function readState(server: ServerContext, source: string): Promise<StateAnswer> {
  const { catalog } = server;
  const lanes = await listLaneStates(catalog, source);
  if (lanes.length === 0) requireBlock('source', (await readCurrent(server)).sources, source);
  return { source, paused: await isPaused(catalog, source), lanes };
}

async function setState(
  server: ServerContext,
  source: string,
  { lane, position: to }: z.infer<typeof setStateBody>,
): Promise<SetStateAnswer> {
  const { catalog } = server;
  const rows = await listLanes(catalog, source);
  const row = rows.find((candidate) => candidate.lane === lane);
  if (!row) throw noSuchLane(source, lane, rows);
  await using opened = await openApplied(server, source);
  const memo = await memoAt(opened, { row, rows, to });
  const { head: from } = row;
  await setHead(catalog, { source, lane, from, to, memo, author: 'admin' });
  const between = from === to ? 'nothing' : to > from ? 'skipped' : 'read';
  return { source, lane, from, to, between };
}

function noSuchLane(source: string, lane: string, rows: readonly LaneRow[]): PipelineError {
  const known = rows.map((row) => row.lane).join(', ') || 'none yet';
  return new PipelineError('not-found', `${source} has no lane ${lane}: it has ${known}`);
}

/**
 * The connector's note for a head at this position.
 * @throws PipelineError `invalid-request` where the connector cannot go on from there
 */
async function memoAt(
  source: ReplayableSource,
  { row, rows, to }: { row: LaneRow; rows: readonly LaneRow[]; to: string },
): Promise<string> {
  const signal = AbortSignal.timeout(timeoutMs);
  const known = rows.map(({ lane: name, head, memo }) => ({ name, head, memo }));
  const observed = (await source.lanes(known, signal)).find(({ name }) => name === row.lane);
  if (!observed) {
    throw new PipelineError('conflict', `lane ${row.lane} is gone from its source`);
  }
  try {
    const memo = (await source.noteAt?.(observed, to, to)) ?? observed.memo;
    await source.plan({ ...observed, memo }, to, lookLimits, signal);
    if (to !== row.head) await refuseUnknown(source, { ...observed, memo }, to);
    return memo;
  } catch (error) {
    if (!isPipelineError(error, 'position-corrupt')) throw error;
    throw new PipelineError('invalid-request', `lane ${row.lane}: ${error.message}`);
  }
}

/** Where a source can say whether a range that ends here is the one it has. */
async function refuseUnknown(source: ReplayableSource, lane: ObservedLane, to: string) {
  if (!source.holds || to === lane.start) return;
  const signal = AbortSignal.timeout(timeoutMs);
  if (await source.holds({ from: to, to, bytes: 0 }, { lane, signal })) return;
  throw new PipelineError(
    'invalid-request',
    `lane ${lane.name}: no record ends at ${to}; "runs list --json" shows positions that are sound`,
  );
}
