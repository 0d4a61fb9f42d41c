import { setTimeout as sleep } from 'node:timers/promises';
import type { TestInstance } from './instance.ts';
import { postEvents, type EventsPost, type EventsReply } from './post-events.ts';

/** One event of the story: some cannot be loaded, some are a second event under a used id. */
export interface SentEvent {
  readonly id: string;
  readonly body: string;
}

const badEvery = 97;
const conflictEvery = 401;

/** Events numbered from..to: with faults that do not keep them from being taken in. */
export function makeEvents(from: number, to: number): readonly SentEvent[] {
  return Array.from({ length: to - from }, (_, at) => {
    const n = from + at;
    const id = `event-${n}`;
    const twice = n % badEvery === 0 ? ', "n": 0' : '';
    return {
      id,
      body: `{"_metadata": {"@uuid": "${id}"}, "n": ${n}${twice}, "text": "event ${n}"}`,
    };
  });
}

export function isBad(n: number): boolean {
  return n % badEvery === 0;
}

/** A second event that takes the id of another one. */
export function conflictOf(n: number): SentEvent | null {
  if (n % conflictEvery !== 0 || isBad(n)) return null;
  return { id: `event-${n}`, body: `{"_metadata": {"@uuid": "event-${n}"}, "n": ${-n}}` };
}

/**
 * Sends until it is answered, as a careful client does: a lost answer, 429 and 503 mean again, with
 * the same ids. Answers how often it had to.
 */
export async function sendUntilTaken(
  instance: Pick<TestInstance, 'urls'>,
  post: EventsPost,
  deadlineMs = 120_000,
): Promise<{ readonly reply: EventsReply; readonly retries: number }> {
  const end = Date.now() + deadlineMs;
  for (let retries = 0; ; retries += 1) {
    const reply = await postEvents(instance, post).catch(() => null);
    if (reply && reply.status !== 503 && reply.status !== 429) return { reply, retries };
    if (Date.now() > end) throw new Error(`not taken for ${deadlineMs} ms: ${reply?.status}`);
    await sleep(50);
  }
}
