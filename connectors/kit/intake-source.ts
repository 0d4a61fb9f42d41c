import { isPipelineError, PipelineError } from '../../core/errors.ts';
import type { IntakeReader } from '../../core/intake.ts';
import type { Position, PositionRange } from '../../core/positions.ts';
import type { RecordBlock } from '../../core/records.ts';
import type {
  AskedWindow,
  KnownLane,
  LanePlan,
  ObservedLane,
  PlanLimits,
  PositionWindow,
  ReadContext,
  ReplayableSource,
} from '../../core/source.ts';
import { decodeFrames } from '../../formats/frames.ts';
import { BlockMerger } from './block-merger.ts';
import { parseInstant } from './instants.ts';

/** All that a source sends is one sequence. */
export const intakeLane = 'intake';

const digits = 15;
const form = new RegExp(`^\\d{${digits}}$`);
const sizesAtOnce = 10_000;

/**
 * A source that is read from its intake. Position = number of the next chunk; an event's version is
 * its chunk and its place there, however the chunks were cut into batches.
 */
export class IntakeSource implements ReplayableSource {
  readonly capabilities = { mutable: false, importsSchema: false } as const;
  readonly #name: string;
  readonly #reader: IntakeReader;

  constructor(name: string, reader: IntakeReader) {
    this.#name = name;
    this.#reader = reader;
  }

  async check(_signal: AbortSignal): Promise<void> {
    await this.#reader.sizes(this.#name, 1, 1);
  }

  async lanes(
    _known: readonly KnownLane[],
    _signal: AbortSignal,
  ): Promise<readonly ObservedLane[]> {
    return [{ name: intakeLane, start: intakePosition(1), memo: '' }];
  }

  async plan(
    lane: ObservedLane,
    from: Position,
    limits: PlanLimits,
    signal: AbortSignal,
  ): Promise<LanePlan> {
    const cut = new RangeCut(intakeChunk(from), limits);
    while (!cut.isFull) {
      signal.throwIfAborted();
      const sizes = await this.#reader.sizes(this.#name, cut.next, sizesAtOnce);
      for (const { chunk, events, bytes } of sizes) {
        if (chunk !== cut.next) throw this.#missing(cut.next);
        if (!cut.take(events, bytes)) break;
      }
      if (sizes.length < sizesAtOnce) break;
    }
    const ranges = cut.end();
    return { ranges, memo: lane.memo, isAll: ranges.length < limits.maxRanges };
  }

  async *read(range: PositionRange, context: ReadContext): AsyncIterable<RecordBlock> {
    const [from, to] = [intakeChunk(range.from), intakeChunk(range.to)];
    const merger = new BlockMerger();
    let next = from;
    for await (const { chunk, content } of this.#reader.read(this.#name, from, to)) {
      context.signal.throwIfAborted();
      if (chunk !== next) throw this.#missing(next);
      next += 1;
      for await (const block of decodeChunk(content, chunk)) yield* merger.add(block);
    }
    if (next !== to) throw this.#missing(next);
    yield* merger.flush();
  }

  /**
   * Whether the intake reaches to where a range ends. Of a range that was lost it cannot be told: no
   * chunk is away for a while.
   */
  async holds({ from, to }: PositionRange): Promise<boolean> {
    const chunk = intakeChunk(to);
    if (from !== to) return false;
    const [next] = await this.#reader.sizes(this.#name, Math.max(1, chunk - 1), 1);
    return next === undefined ? chunk === 1 : next.chunk <= chunk;
  }

  /** Left open it begins with the oldest chunk that is still there. */
  async window(lane: KnownLane, { from, to }: AskedWindow): Promise<PositionWindow> {
    const start = from === undefined ? await this.#oldest() : await this.#place(from);
    const end = to === undefined ? null : await this.#place(to);
    return {
      // After the last one: nothing of the lane lies behind its head.
      from: start === null ? lane.head : intakePosition(start),
      ...(end !== null && { to: intakePosition(end) }),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  async #oldest(): Promise<number | null> {
    const [first] = await this.#reader.sizes(this.#name, 1, 1);
    return first?.chunk ?? null;
  }

  /** The chunk at a position, or the first one received at a time or later. */
  async #place(text: string): Promise<number | null> {
    if (form.test(text)) return intakeChunk(text);
    const time = parseInstant(text);
    if (time) return this.#reader.firstSince(this.#name, time);
    throw new PipelineError(
      'invalid-request',
      'neither a position of the intake nor a time: write 2026-11-26, 2026-11-26T14:30Z or a position that "runs list --json" shows',
    );
  }

  #missing(chunk: number): PipelineError {
    return new PipelineError(
      'extract-lost',
      `chunk ${chunk} of the intake of ${this.#name} is not there: was it deleted by hand, or the catalog restored?`,
    );
  }
}

async function* decodeChunk(content: Uint8Array, chunk: number): AsyncIterable<RecordBlock> {
  const versionPrefix = `${intakePosition(chunk)}/`;
  try {
    for await (const block of decodeFrames(once(content))) yield { ...block, versionPrefix };
  } catch (cause) {
    if (!isPipelineError(cause, 'extract-lost')) throw cause;
    const message = `chunk ${chunk} of the intake is damaged: bring the catalog back from a backup`;
    throw new PipelineError('extract-lost', message, { cause });
  }
}

async function* once(content: Uint8Array): AsyncIterable<Uint8Array> {
  yield content;
}

/** Whole chunks, as many as the limits allow, one at least. */
class RangeCut {
  readonly #limits: PlanLimits;
  readonly #ranges: PositionRange[] = [];
  #from: number;
  #bytes = 0;
  #events = 0;
  next: number;

  constructor(from: number, limits: PlanLimits) {
    this.#from = from;
    this.next = from;
    this.#limits = limits;
  }

  get isFull(): boolean {
    return this.#ranges.length >= this.#limits.maxRanges;
  }

  /** False: there are as many ranges as there may be; the chunk is left for the next call. */
  take(events: number, bytes: number): boolean {
    const { maxBytes, maxRecords } = this.#limits;
    const isTooMuch = this.#bytes + bytes > maxBytes || this.#events + events > maxRecords;
    if (isTooMuch && this.next > this.#from) this.#close();
    if (this.isFull) return false;
    this.#bytes += bytes;
    this.#events += events;
    this.next += 1;
    return true;
  }

  end(): readonly PositionRange[] {
    if (!this.isFull && this.next > this.#from) this.#close();
    return this.#ranges;
  }

  #close(): void {
    const [from, to] = [intakePosition(this.#from), intakePosition(this.next)];
    this.#ranges.push({ from, to, bytes: this.#bytes });
    this.#from = this.next;
    this.#bytes = 0;
    this.#events = 0;
  }
}

/** Position of a chunk: what comes before it has been read. */
export function intakePosition(chunk: number): Position {
  return String(chunk).padStart(digits, '0');
}

export function intakeChunk(position: Position): number {
  if (form.test(position)) return Number(position);
  throw new PipelineError('position-corrupt', 'this is no position in an intake: nothing was read');
}
