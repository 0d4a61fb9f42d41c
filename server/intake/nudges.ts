import type { Logger } from 'pino';

const pauseMs = 150;

/** Tells Temporal of new chunks, a source at most once in a while: `maintain` finds what is lost. */
export class Nudges {
  readonly #send: (source: string) => Promise<unknown>;
  readonly #log: Logger;
  readonly #waiting = new Set<string>();
  #isFailing = false;

  constructor(send: (source: string) => Promise<unknown>, log: Logger) {
    this.#send = send;
    this.#log = log;
  }

  nudge(source: string): void {
    if (this.#waiting.has(source)) return;
    this.#waiting.add(source);
    setTimeout(() => void this.#pass(source), pauseMs);
  }

  async #pass(source: string): Promise<void> {
    this.#waiting.delete(source);
    try {
      await this.#send(source);
      this.#isFailing = false;
    } catch {
      if (!this.#isFailing)
        this.#log.warn({ source }, 'a nudge was lost, maintain makes up for it');
      this.#isFailing = true;
    }
  }
}
