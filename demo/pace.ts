import { setTimeout as sleep } from 'node:timers/promises';

/** What is missed for longer is left out: a machine that slept must not make up for its night. */
const longestLateMs = 1_000;

/**
 * Runs `step` so many times a second, one after the other, until the time is over or the signal
 * aborts. What takes longer than its turn moves the next ones.
 */
export async function keepPace(
  step: () => Promise<unknown>,
  { perSecond, until, signal }: Pace,
): Promise<void> {
  let due = Date.now();
  while (due < until && !signal.aborted) {
    if (!(await rest(due - Date.now(), signal))) return;
    await step();
    due = Math.max(due + 1_000 / perSecond, Date.now() - longestLateMs);
  }
}

export interface Pace {
  readonly perSecond: number;
  /** Milliseconds since 1970. */
  readonly until: number;
  readonly signal: AbortSignal;
}

/** False where the signal ended it. */
export async function rest(ms: number, signal: AbortSignal): Promise<boolean> {
  await sleep(Math.max(0, ms), undefined, { signal }).catch(() => undefined);
  return !signal.aborted;
}
