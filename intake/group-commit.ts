import { PipelineError } from '../core/errors.ts';
import { failpoint } from '../core/failpoints.ts';
import type { IntakeReceipt, IntakeSink, IntakeSubmission } from '../core/intake.ts';
import type { AppendedChunk, NewChunk } from '../store/catalog/intake-chunks.ts';
import { encodeChunk } from './encode-chunk.ts';

export interface GroupCommitOptions {
  /** Appends a chunk durably. */
  append(chunk: NewChunk): Promise<AppendedChunk>;
  /** Told of every chunk that is durable. */
  onAppended(source: string, chunk: AppendedChunk): void;
  readonly maxQueuedBytes: number;
  /** A chunk takes what waits, up to about so much. */
  readonly maxChunkBytes: number;
}

interface Waiting {
  readonly submission: IntakeSubmission;
  readonly bytes: number;
  readonly resolve: (receipt: IntakeReceipt) => void;
  readonly reject: (error: unknown) => void;
}

/** What an event costs beside its bytes. */
const eventOverhead = 100;

/**
 * Stores submissions: one commit at a time per source, and whatever comes meanwhile shares the next.
 * So nobody waits longer than for two commits, and the more comes, the more share one.
 */
export class GroupCommit implements IntakeSink {
  readonly #options: GroupCommitOptions;
  readonly #queues = new Map<string, Waiting[]>();
  #queuedBytes = 0;

  constructor(options: GroupCommitOptions) {
    this.#options = options;
  }

  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  write(submission: IntakeSubmission): Promise<IntakeReceipt> {
    const bytes = sizeOf(submission);
    if (this.#queuedBytes > 0 && this.#queuedBytes + bytes > this.#options.maxQueuedBytes) {
      return Promise.reject(new PipelineError('intake-busy', 'more comes in than can be stored'));
    }
    this.#queuedBytes += bytes;
    return new Promise((resolve, reject) => {
      const waiting = { submission, bytes, resolve, reject };
      const queue = this.#queues.get(submission.source);
      if (queue) queue.push(waiting);
      else {
        this.#queues.set(submission.source, [waiting]);
        // After this turn of the loop: requests that arrived with this one are in then.
        setImmediate(() => void this.#drain(submission.source));
      }
    });
  }

  async #drain(source: string): Promise<void> {
    const queue = this.#queues.get(source) ?? [];
    while (queue.length > 0) await this.#commit(source, this.#take(queue));
    this.#queues.delete(source);
  }

  #take(queue: Waiting[]): readonly Waiting[] {
    let bytes = 0;
    const end = queue.findIndex((waiting, at) => {
      bytes += waiting.bytes;
      return at > 0 && bytes > this.#options.maxChunkBytes;
    });
    return queue.splice(0, end < 0 ? queue.length : end);
  }

  async #commit(source: string, group: readonly Waiting[]): Promise<void> {
    try {
      const events = group.flatMap(({ submission }) => submission.events);
      const resume = group.findLast(({ submission }) => submission.resume !== undefined);
      const appended = await this.#options.append({
        source,
        events: events.length,
        content: encodeChunk(events),
        resume: resume?.submission.resume,
      });
      await failpoint('chunk-committed');
      this.#options.onAppended(source, appended);
      for (const { resolve } of group) resolve({ chunk: appended.chunk });
    } catch (error) {
      for (const { reject } of group) reject(error);
    } finally {
      for (const { bytes } of group) this.#queuedBytes -= bytes;
    }
  }
}

function sizeOf({ events }: IntakeSubmission): number {
  return events.reduce((sum, { bytes, id }) => sum + bytes.length + id.length + eventOverhead, 0);
}
