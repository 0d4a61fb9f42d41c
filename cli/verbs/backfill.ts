import { setTimeout as sleep } from 'node:timers/promises';
import { isPipelineError } from '../../core/errors.ts';
import type { BackfillAnswer, BackfillStateAnswer } from '../../server/contract/backfills.ts';
import { connect, type Api } from '../api.ts';
import { exitCode } from '../exit-codes.ts';
import { printJson, say } from '../print.ts';
import { ProgressLine } from '../progress-line.ts';
import type { JsonFlag } from './flags.ts';

export interface BackfillFlags extends JsonFlag {
  readonly stream?: string;
  readonly lane?: string;
  readonly from?: string;
  readonly to?: string;
  readonly concurrency?: string;
  readonly id?: string;
  readonly wait: boolean;
}

const pauseMs = 500;
/** The supervisor brings a killed server back within seconds. */
const serverAwayMs = 20_000;

/** Reads a part of a pipeline's source again; waits until it is settled. */
export async function runBackfill(pipeline: string, flags: BackfillFlags): Promise<number> {
  const { json, wait, id, concurrency, ...asked } = flags;
  const api = await connect();
  const answer = await api.post<BackfillAnswer>('backfills', {
    pipeline,
    ...asked,
    ...(id !== undefined && { requestId: id }),
    ...(concurrency !== undefined && { concurrency: Number(concurrency) }),
  });
  sayWhat(pipeline, answer);
  const { requestId } = answer;
  if (!wait || requestId === null) {
    if (json) printJson(answer);
    return exitCode.ok;
  }
  const state = await waitForBackfill(api, requestId);
  if (json) printJson({ ...answer, ...state });
  else sayOutcome(state);
  return codeOf(state);
}

/** Everything again. */
export function runResync(
  pipeline: string,
  flags: Pick<BackfillFlags, 'stream' | 'wait' | 'json'>,
): Promise<number> {
  return runBackfill(pipeline, flags);
}

function sayWhat(pipeline: string, answer: BackfillAnswer): void {
  const { requestId, batches, refreshed, delayed } = answer;
  if (refreshed.length > 0) {
    say(`${refreshed.join(', ')}: read as a whole by the sync that begins now, see "runs list"`);
  }
  if (requestId !== null) say(`backfill ${requestId} of ${pipeline}: ${batches} batches`);
  if (delayed !== null) say(`it begins later: ${delayed}`);
}

/** Until nothing of it can go on: settled, paused, or waiting for somebody. */
async function waitForBackfill(api: Api, requestId: string): Promise<BackfillStateAnswer> {
  const line = new ProgressLine();
  for (;;) {
    const state = await readPatiently(api, requestId);
    const { settled, lost, batches, pending, waiting, stopped, paused } = state;
    const isStuck = pending === 0 && waiting + stopped > 0;
    if (state.state === 'settled' || isStuck || paused) {
      line.end();
      return state;
    }
    line.show(`reading again: ${settled + lost} of ${batches} batches`);
    await sleep(pauseMs);
  }
}

async function readPatiently(api: Api, requestId: string): Promise<BackfillStateAnswer> {
  const deadline = Date.now() + serverAwayMs;
  for (;;) {
    try {
      return await api.get<BackfillStateAnswer>(`backfills/${encodeURIComponent(requestId)}`);
    } catch (error) {
      if (!isPipelineError(error, 'catalog-unavailable') || Date.now() > deadline) throw error;
      await sleep(pauseMs);
    }
  }
}

function sayOutcome(state: BackfillStateAnswer): void {
  const { rowsLoaded, rowsDuplicate, rowsSuperseded, rowsFailed, lost, waiting, stopped } = state;
  say(
    `${rowsLoaded} rows loaded, ${rowsDuplicate} were there, ${rowsSuperseded} were older than what is there`,
  );
  if (state.paused && state.state === 'running') say('it is paused');
  if (rowsFailed > 0) say(`${rowsFailed} events fail: npm run millrace -- failed list`);
  if (lost > 0) say(`${lost} batches are gone from the source`);
  if (waiting > 0)
    say(`${waiting} deliveries wait until their destination is back; then they load`);
  if (stopped > 0) say(`${stopped} deliveries stand still: "runs list" shows which`);
}

/** 4 before 1 before 5, as with sync. */
function codeOf({ waiting, stopped, lost, rowsFailed }: BackfillStateAnswer): number {
  if (waiting > 0) return exitCode.cannotConnect;
  if (stopped > 0 || lost > 0) return exitCode.failure;
  return rowsFailed > 0 ? exitCode.failedEvents : exitCode.ok;
}
