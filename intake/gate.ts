import { PipelineError } from '../core/errors.ts';
import type { IntakeRules } from '../core/intake.ts';

export interface GateOptions {
  /** Nothing is taken in while less is free. */
  readonly minFreeBytes: number;
  readonly readFreeBytes: () => Promise<number>;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

interface Allowance {
  events: number;
  at: number;
}

const diskLookMs = 500;
const quotaRetrySeconds = 30;
const diskRetrySeconds = 30;
const heldRetrySeconds = 60;

/** Says no before anything is stored: disk, rate and quota of a source. */
export class IntakeGate {
  readonly #options: GateOptions;
  readonly #allowances = new Map<string, Allowance>();
  readonly #stored = new Map<string, number>();
  #held: ReadonlyMap<string, string> = new Map();
  #lookedAt = Number.NEGATIVE_INFINITY;
  #freeBytes: Promise<number> = Promise.resolve(0);

  constructor(options: GateOptions) {
    this.#options = options;
  }

  noteStored(source: string, bytes: number): void {
    this.#stored.set(source, bytes);
  }

  /** Sources that stand still until a person recovers them, and why. */
  noteHeld(held: ReadonlyMap<string, string>): void {
    this.#held = held;
  }

  /**
   * Before a request is read.
   * @throws PipelineError `backup-mismatch`, `staging-unavailable`, `quota-exceeded`, with
   *   `retryAfterSeconds`
   */
  async admit(source: string, { quotaBytes }: IntakeRules): Promise<void> {
    this.#refuseHeld(source);
    await this.#refuseFullDisk();
    if ((this.#stored.get(source) ?? 0) < quotaBytes) return;
    throw new PipelineError('quota-exceeded', `the intake of ${source} is full`, {
      details: { retryAfterSeconds: quotaRetrySeconds },
    });
  }

  /**
   * Takes so many events off what the source may send now. A batch larger than a second's worth
   * passes when nothing was sent for a while, and is made up for afterwards.
   * @throws PipelineError `rate-exceeded`, with `retryAfterSeconds`
   */
  take(source: string, { eventsPerSecond }: IntakeRules, events: number): void {
    if (eventsPerSecond === null) return;
    const now = this.#options.now();
    const burst = Math.max(1, eventsPerSecond);
    const last = this.#allowances.get(source) ?? { events: burst, at: now };
    const earned = (Math.max(0, now - last.at) / 1000) * eventsPerSecond;
    const left = Math.min(burst, last.events + earned);
    const needed = Math.min(events, burst);
    if (left >= needed) {
      this.#allowances.set(source, { events: left - events, at: now });
      return;
    }
    this.#allowances.set(source, { events: left, at: now });
    const retryAfterSeconds = Math.ceil((needed - left) / eventsPerSecond);
    throw new PipelineError(
      'rate-exceeded',
      `source ${source} sends more than ${eventsPerSecond} events per second`,
      { details: { retryAfterSeconds } },
    );
  }

  #refuseHeld(source: string): void {
    const message = this.#held.get(source);
    if (message === undefined) return;
    const details = { retryAfterSeconds: heldRetrySeconds };
    throw new PipelineError('backup-mismatch', message, { details });
  }

  async #refuseFullDisk(): Promise<void> {
    const { minFreeBytes, readFreeBytes, now } = this.#options;
    if (now() - this.#lookedAt > diskLookMs) {
      this.#lookedAt = now();
      this.#freeBytes = readFreeBytes();
    }
    const free = await this.#freeBytes;
    if (free >= minFreeBytes) return;
    const [have, need] = [free, minFreeBytes].map((bytes) => Math.round(bytes / 2 ** 20));
    throw new PipelineError(
      'staging-unavailable',
      `nothing is taken in: ${have} MiB are free, ${need} MiB are needed; free some space`,
      { details: { retryAfterSeconds: diskRetrySeconds } },
    );
  }
}
