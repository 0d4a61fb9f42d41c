import { setTimeout as sleep } from 'node:timers/promises';

/** Polls until `probe` answers something truthy; fails with its last answer at the deadline. */
export async function until<T>(
  what: string,
  probe: () => Promise<T | null | undefined | false>,
  deadlineMs = 60_000,
): Promise<T> {
  const end = Date.now() + deadlineMs;
  for (let last: unknown; ;) {
    try {
      const answer = await probe();
      if (answer) return answer;
      last = answer;
    } catch (error) {
      last = error;
    }
    if (Date.now() > end)
      throw new Error(`waited ${deadlineMs} ms for ${what}; last: ${String(last)}`);
    await sleep(100);
  }
}
