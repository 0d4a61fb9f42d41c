import { isPipelineError, PipelineError } from '../core/errors.ts';
import { connectTemporal, type TemporalAccess } from '../temporal/client.ts';

export interface TemporalHealth {
  readonly state: 'ok' | 'unavailable';
  readonly message: string | null;
}

const callTimeoutMs = 10_000;

/** The connection to Temporal: made when first needed, made again after it failed. */
export class TemporalLink implements AsyncDisposable {
  #access: Promise<TemporalAccess> | null = null;
  #health: TemporalHealth = { state: 'unavailable', message: 'Temporal is not connected yet' };

  /** What the last round of upkeep met. */
  get health(): TemporalHealth {
    return this.#health;
  }

  /**
   * Works with Temporal, for so long at most: a server that hangs must not hang ours.
   * @throws PipelineError `temporal-unavailable`, also when a call breaks off; what `work` throws
   */
  async use<T>(
    work: (access: TemporalAccess) => Promise<T>,
    timeoutMs = callTimeoutMs,
  ): Promise<T> {
    const access = await this.#connect();
    try {
      const { connection } = access.client;
      return await connection.withDeadline(Date.now() + timeoutMs, () => work(access));
    } catch (cause) {
      if (isPipelineError(cause)) throw cause;
      throw new PipelineError(
        'temporal-unavailable',
        `Temporal at ${access.address} did not carry out the call: see that it is up and lets us in`,
        { cause },
      );
    }
  }

  note(error: unknown): void {
    if (error === null) this.#health = { state: 'ok', message: null };
    else {
      const message = error instanceof Error ? error.message : 'unknown';
      this.#health = { state: 'unavailable', message };
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const access = await this.#access?.catch(() => null);
    await access?.close();
  }

  #connect(): Promise<TemporalAccess> {
    this.#access ??= connectTemporal().catch((error: unknown) => {
      this.#access = null;
      throw error;
    });
    return this.#access;
  }
}
