import type { Socket } from 'node:net';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

/** What a way does to the bytes on it, each direction for itself. */
export interface Shape {
  readonly latencyMs: number;
  /** Up to so much more, by chance. */
  readonly jitterMs: number;
  readonly bytesPerSecond: number;
  /** Bytes arrive in pieces of at most so many. */
  readonly sliceBytes: number;
  /** The end of a connection arrives so much later. */
  readonly slowCloseMs: number;
}

export const plainShape: Shape = {
  latencyMs: 0,
  jitterMs: 0,
  bytesPerSecond: Number.POSITIVE_INFINITY,
  sliceBytes: Number.POSITIVE_INFINITY,
  slowCloseMs: 0,
};

export interface ChannelRules {
  readonly shape: () => Shape;
  /** Nothing passes, not even an end. */
  readonly isMuted: () => boolean;
  /** From 0 to 1. */
  readonly random: () => number;
  /** Looks at bytes before they pass; false: they do not, the connection is cut instead. */
  readonly pass?: (bytes: Buffer) => boolean;
  readonly cut: () => void;
}

interface Item {
  /** Null: the end. */
  readonly bytes: Buffer | null;
  readonly dueAt: number;
}

/** Bytes under way, beyond which their sender is made to wait. */
const maxQueuedBytes = 1024 * 1024;

/** One direction of a connection: all bytes in their order, as late and as slow as the shape says. */
export class Channel {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #rules: ChannelRules;
  readonly #queue: Item[] = [];
  readonly #gone = new AbortController();
  #queuedBytes = 0;
  #lastDueAt = 0;
  #isPumping = false;

  constructor(from: Socket, to: Socket, rules: ChannelRules) {
    this.#from = from;
    this.#to = to;
    this.#rules = rules;
    from.on('data', (bytes: Buffer) => this.#take(bytes));
    from.on('end', () => this.#take(null));
    to.on('close', () => this.#gone.abort()); // what `from` sent before its end still arrives
  }

  #take(bytes: Buffer | null): void {
    const { shape, isMuted, random } = this.#rules;
    if (isMuted()) return;
    const { latencyMs, jitterMs } = shape();
    this.#lastDueAt = Math.max(this.#lastDueAt, Date.now() + latencyMs + jitterMs * random());
    this.#queue.push({ bytes, dueAt: this.#lastDueAt });
    this.#queuedBytes += bytes?.length ?? 0;
    if (this.#queuedBytes > maxQueuedBytes) this.#from.pause();
    if (!this.#isPumping) void this.#pump();
  }

  async #pump(): Promise<void> {
    this.#isPumping = true;
    try {
      for (let item = this.#queue.shift(); item; item = this.#queue.shift()) {
        await this.#wait(item.dueAt - Date.now());
        await this.#deliver(item);
      }
    } catch {
      this.#queue.length = 0; // the connection is gone, and with it what was under way
    }
    this.#isPumping = false;
  }

  async #deliver({ bytes }: Item): Promise<void> {
    const { shape, isMuted, pass, cut } = this.#rules;
    if (isMuted()) return;
    if (bytes === null) {
      await this.#wait(shape().slowCloseMs);
      this.#to.end();
      return;
    }
    if (pass?.(bytes) === false) return cut();
    await this.#write(bytes);
    this.#queuedBytes -= bytes.length;
    if (this.#queuedBytes <= maxQueuedBytes) this.#from.resume();
  }

  async #write(bytes: Buffer): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      const { sliceBytes, bytesPerSecond } = this.#rules.shape();
      const slice = bytes.subarray(at, Math.min(bytes.length, at + sliceBytes));
      if (!this.#to.write(slice)) await once(this.#to, 'drain', { signal: this.#gone.signal });
      at += slice.length;
      const isLast = at >= bytes.length;
      // A turn of the loop between pieces: else they would leave together.
      await this.#wait((slice.length / bytesPerSecond) * 1_000, isLast ? 0 : 1);
    }
  }

  async #wait(ms: number, leastMs = 0): Promise<void> {
    const rest = Math.max(ms, leastMs);
    if (rest > 0) await sleep(rest, undefined, { signal: this.#gone.signal });
  }
}
