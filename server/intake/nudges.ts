import type { Logger } from 'pino';

/** After a rest: what comes together is planned together. */
const firstMs = 100;
/** While more comes: each nudge has its price, and small batches have theirs. */
const steadyMs = 1_000;

/** Tells Temporal of new chunks, a source at most once a second: `maintain` finds what is lost. */
export class Nudges {
  readonly #send: (source: string) => Promise<unknown>;
  readonly #log: Logger;
  readonly #waiting = new Set<string>();
  readonly #sentAt = new Map<string, number>();
  #isFailing = false;

  constructor(send: (source: string) => Promise<unknown>, log: Logger) {
    this.#send = send;
    this.#log = log;
  }

  nudge(source: string): void {
    if (this.#waiting.has(source)) return;
    this.#waiting.add(source);
    const now = performance.now();
    const next = (this.#sentAt.get(source) ?? Number.NEGATIVE_INFINITY) + steadyMs;
    setTimeout(() => void this.#pass(source), Math.max(firstMs, next - now));
  }

  async #pass(source: string): Promise<void> {
    this.#waiting.delete(source);
    this.#sentAt.set(source, performance.now());
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
