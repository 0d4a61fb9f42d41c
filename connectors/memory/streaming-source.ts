import { PipelineError } from '../../core/errors.ts';
import type { IntakeSink, StreamingSource } from '../../core/intake.ts';

/** What a streaming source receives from: it keeps a record until that is acknowledged. */
export class MemoryQueue {
  readonly #records: Uint8Array[] = [];
  #acknowledged = 0;
  #onPush: () => void = () => undefined;

  push(record: Uint8Array): void {
    this.#records.push(record);
    this.#onPush();
  }

  /** How many of its first records the other side has. */
  get acknowledged(): number {
    return this.#acknowledged;
  }

  acknowledge(count: number): void {
    this.#acknowledged = count;
  }

  /** The record at a place; waits for one that is not there yet. Null: told to stop. */
  async at(place: number, signal: AbortSignal): Promise<Uint8Array | null> {
    while (this.#records[place] === undefined && !signal.aborted) {
      await new Promise<void>((resolve) => {
        this.#onPush = resolve;
        signal.addEventListener('abort', () => resolve(), { once: true });
      });
    }
    return signal.aborted ? null : (this.#records[place] ?? null);
  }
}

const form = /^\d{12}$/;

/** The reference of a streaming source: what it goes on from is the number of records before. */
export class MemoryStreamingSource implements StreamingSource {
  readonly #name: string;
  readonly #queue: MemoryQueue;

  constructor(name: string, queue: MemoryQueue) {
    this.#name = name;
    this.#queue = queue;
  }

  async check(_signal: AbortSignal): Promise<void> {}

  async stream(from: string | null, sink: IntakeSink, signal: AbortSignal): Promise<void> {
    const [source, queue] = [this.#name, this.#queue];
    for (let place = toPlace(from); ; place += 1) {
      const bytes = await queue.at(place, signal);
      if (bytes === null) return;
      const events = [{ stream: source, id: `${source}/${place}`, bytes }];
      const resume = String(place + 1).padStart(12, '0');
      await sink.write({ source, events, resume });
      queue.acknowledge(place + 1);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

function toPlace(from: string | null): number {
  if (from === null) return 0;
  if (form.test(from)) return Number(from);
  throw new PipelineError('position-corrupt', 'this is no place in a queue: nothing was received');
}
