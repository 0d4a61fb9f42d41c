import { setTimeout as sleep } from 'node:timers/promises';
import { isPipelineError } from '../core/errors.ts';
import { failurePolicies, isFailureKind } from '../core/failures.ts';
import type { ProgressAnswer } from '../server/contract/syncs.ts';
import type { Api } from './api.ts';
import { exitCode } from './exit-codes.ts';
import { say } from './print.ts';
import { ProgressLine } from './progress-line.ts';

const firstPauseMs = 100;
const longestPauseMs = 1_000;
/** The supervisor brings a killed server back within seconds. */
const serverAwayMs = 20_000;

export interface SyncOutcome {
  /** False: the time was over before everything was settled. */
  readonly settled: boolean;
  readonly progress: ProgressAnswer;
}

/**
 * Waits until everything of these sources that was there is settled, or waits for an absent
 * destination; not for what comes in meanwhile. Says on stderr what holds it up.
 */
export async function waitForSync(
  api: Api,
  sources: readonly string[],
  timeoutMs = Number.POSITIVE_INFINITY,
): Promise<SyncOutcome> {
  const line = new ProgressLine();
  const deadline = Date.now() + timeoutMs;
  let obstacle = '';
  let until: string | undefined;
  for (let pause = firstPauseMs; ; pause = Math.min(pause * 1.5, longestPauseMs)) {
    const progress = await readPatiently(api, sources, until);
    const settled = isDone(progress);
    if (settled || Date.now() > deadline) {
      line.end();
      return { settled, progress };
    }
    if (progress.wanted.length === 0) until ??= progress.asOf;
    line.show(describeProgress(progress));
    const next = progress.obstacles[0] ?? '';
    if (next !== '' && next !== obstacle) line.say(`still trying: ${next}`);
    obstacle = next;
    await sleep(pause);
  }
}

function describeProgress({ open: { pending, waiting } }: ProgressAnswer): string {
  return `loading: ${pending} deliveries on their way${waiting > 0 ? `, ${waiting} wait` : ''}`;
}

/** A server or catalog that is away for a moment does not end the wait. */
async function readPatiently(
  api: Api,
  sources: readonly string[],
  until: string | undefined,
): Promise<ProgressAnswer> {
  const deadline = Date.now() + serverAwayMs;
  for (;;) {
    try {
      return await api.get<ProgressAnswer>('syncs', { sources: sources.join(','), until });
    } catch (error) {
      if (!isPipelineError(error, 'catalog-unavailable') || Date.now() > deadline) throw error;
      await sleep(longestPauseMs);
    }
  }
}

/** Events of a restream whose delivery stands still, or waits, are not on their way. */
export function isDone({ wanted, open }: Pick<ProgressAnswer, 'wanted' | 'open'>): boolean {
  const { pending, restreaming, stopped, waiting } = open;
  if (wanted.length > 0 || pending > 0) return false;
  return restreaming === 0 || stopped + waiting > 0;
}

/** 4 before 1 before 5: what could not be reached, what stands still, what waits for a person. */
export function syncExitCode({ open, stoppedLanes }: ProgressAnswer): number {
  if (open.waiting > 0) return exitCode.cannotConnect;
  if (open.lost > 0 || open.stopped > 0 || stoppedLanes.length > 0) return exitCode.failure;
  return open.openFailures > 0 ? exitCode.failedEvents : exitCode.ok;
}

export function sayOutcome(progress: ProgressAnswer): void {
  const { open, stoppedLanes, stopped, unread, unreachable } = progress;
  for (const reason of stopped) say(describeStopped(reason));
  for (const { source, lane, message } of stoppedLanes) {
    say(`${source}/${lane} stands still: ${message}`);
  }
  for (const { source, lane, message } of unread) say(`${source}/${lane}: ${message}`);
  if (open.waiting > 0) {
    for (const { destination, message } of unreachable) say(`${destination}: ${message}`);
    say(`${open.waiting} deliveries wait until their destination is back; then they load`);
  }
  if (open.stopped > 0) say(`${open.stopped} deliveries stand still: "runs list" shows which`);
  if (open.lost > 0) {
    say(`${open.lost} deliveries are lost: their source had no such range any more`);
    say('"runs list --state lost" shows which, "runs discard" gives one up for good');
  }
  if (open.openFailures > 0) {
    say(`${open.openFailures} failed events wait for review: npm run millrace -- failed list`);
  }
}

export function describeStopped(reason: ProgressAnswer['stopped'][number]): string {
  const { source, destination, deliveries, kind, message } = reason;
  const advice = isFailureKind(kind) ? ` (${failurePolicies[kind].advice})` : '';
  return `${source} → ${destination}: ${deliveries} stopped as ${kind}: ${message}${advice}`;
}
