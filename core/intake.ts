import type { RecordFault } from './records.ts';

/**
 * The intake: an append-only sequence of chunks for each source that cannot be read again. Whoever
 * sends is answered when its events are durable here; from here on the source is replayable.
 */

/** One event on its way in, with exactly the bytes that were received. */
export interface IntakeEvent {
  readonly stream: string;
  /** The producer's own where it gives one: with it, sending again is harmless. */
  readonly id: string;
  readonly bytes: Uint8Array;
  /** It cannot be loaded as it is; it is kept all the same and becomes a failed event. */
  readonly fault?: Omit<RecordFault, 'index'>;
}

/** Events that are stored together or not at all. */
export interface IntakeSubmission {
  readonly source: string;
  readonly events: readonly IntakeEvent[];
  /** Where the stream of the source is to go on behind these events; stored with them. */
  readonly resume?: string;
}

export interface IntakeReceipt {
  /** Number of the chunk that holds the events. */
  readonly chunk: number;
}

/** Where a streaming source puts what it receives. */
export interface IntakeSink {
  /**
   * Resolves when the events are durable: committed, with fsync. Only then acknowledge them.
   * Submissions that come together share a chunk; those of one source keep their order.
   * @throws PipelineError `catalog-unavailable`, `intake-busy`, `staging-unavailable`,
   *   `rate-exceeded`, `quota-exceeded`: do not acknowledge; send again later, under the same ids
   */
  write(submission: IntakeSubmission): Promise<IntakeReceipt>;
}

/** A source that pushes, or whose data is gone once it was acknowledged: MQTT, logical replication. */
export interface StreamingSource extends AsyncDisposable {
  /** @throws PipelineError `source-unavailable` or `invalid-config`, saying what to do. */
  check(signal: AbortSignal): Promise<void>;

  /**
   * Receives until the signal aborts; writes into the sink, in order, and acknowledges to the source
   * only what the sink has resolved. `from` is the `resume` of the newest durable submission, null
   * before the first one. What was not acknowledged comes again, under the same event ids.
   * @throws PipelineError `source-unavailable`; `position-corrupt` when `from` is not ours
   */
  stream(from: string | null, sink: IntakeSink, signal: AbortSignal): Promise<void>;
}

export interface ChunkSize {
  readonly chunk: number;
  readonly events: number;
  readonly bytes: number;
}

/** A chunk as stored: frames (`formats/frames.ts`), one for each stream in it. */
export interface StoredChunk {
  readonly chunk: number;
  readonly content: Uint8Array;
}

/** Reads what is in the intake. Numbers of chunks have no gaps and appear in order of commit. */
export interface IntakeReader {
  /** Sizes of the chunks from a number on, in order, at most `limit`. */
  sizes(source: string, from: number, limit: number): Promise<readonly ChunkSize[]>;
  /** The chunks `from`..`to` (exclusive) that are there, in order, a few MiB at a time. */
  read(source: string, from: number, to: number): AsyncIterable<StoredChunk>;
  /** The first chunk that is there and was received at this time or later; null: none was. */
  firstSince(source: string, time: Date): Promise<number | null>;
}

/** How a source that is posted to treats its requests. */
export interface IntakeRules {
  /** Of events without a type; null: they need one, and go to review as `unmapped-stream`. */
  readonly defaultStream: string | null;
  /** Field of the event that names its type. */
  readonly eventTypeField: string | null;
  /** The token may stand in the query: it may end up in logs of proxies. */
  readonly allowsQueryToken: boolean;
  /** Standard Webhooks: requests have to be signed with one of these. */
  readonly signature: { readonly secrets: readonly string[]; readonly toleranceMs: number } | null;
  readonly maxBodyBytes: number;
  /** Null: as many as come. */
  readonly eventsPerSecond: number | null;
  /** Of its chunks in the catalog. */
  readonly quotaBytes: number;
}
