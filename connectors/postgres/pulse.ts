import { CarefulClient } from './careful-client.ts';
import { sqlStateOf } from './errors.ts';

const everyMs = 5_000;
const answerWithinMs = 10_000;

/**
 * Watches over those who wait for a server: while a wait is long, it asks the server on another
 * connection, and tells them when no answer comes. A statement may take an hour as long as the
 * server answers; a peer that fell silent (a stopped process, a network that is gone) is noticed.
 */
export class Pulse {
  readonly #url: string;
  /** What to tell those who wait, with the time since when. */
  readonly #waiting = new Map<() => void, number>();
  #isScheduled = false;

  constructor(url: string) {
    this.#url = url;
  }

  /** Calls `onSilence` when the server falls silent, until the returned function is called. */
  watch(onSilence: () => void): () => void {
    this.#waiting.set(onSilence, Date.now());
    if (!this.#isScheduled) this.#schedule();
    return () => void this.#waiting.delete(onSilence);
  }

  #schedule(): void {
    this.#isScheduled = true;
    setTimeout(() => void this.#beat(), everyMs).unref();
  }

  async #beat(): Promise<void> {
    const latest = Date.now() - everyMs;
    const long = [...this.#waiting].filter(([, since]) => since <= latest);
    if (long.length > 0 && !(await isAnswering(this.#url))) {
      for (const [onSilence] of long) if (this.#waiting.has(onSilence)) onSilence();
    }
    this.#isScheduled = false;
    if (this.#waiting.size > 0) this.#schedule();
  }
}

/** A refusal is an answer too. */
async function isAnswering(connectionString: string): Promise<boolean> {
  try {
    // Reads certificates that the url names: those may be gone.
    const client = new CarefulClient({
      connectionString,
      connectionTimeoutMillis: answerWithinMs,
      application_name: 'millrace-pulse',
    });
    client.on('error', () => undefined);
    await client.connect();
    await client.end();
    return true;
  } catch (error) {
    return sqlStateOf(error) !== undefined;
  }
}
