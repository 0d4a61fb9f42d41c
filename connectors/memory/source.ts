import { PipelineError } from '../../core/errors.ts';
import type { Position, PositionRange } from '../../core/positions.ts';
import type { RecordBlock } from '../../core/records.ts';
import { positionWindow } from '../kit/position-window.ts';
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

/** What a source reads: JSON records by lane. A lane is only ever added to, or dropped whole. */
export class MemoryOrigin {
  readonly #lanes = new Map<string, Uint8Array[]>();
  reachable = true;

  append(lane: string, records: readonly Uint8Array[]): void {
    this.#lanes.set(lane, [...(this.#lanes.get(lane) ?? []), ...records]);
  }

  drop(lane: string): void {
    this.#lanes.delete(lane);
  }

  lanes(): readonly string[] {
    return [...this.#lanes.keys()].sort();
  }

  records(lane: string): readonly Uint8Array[] | undefined {
    return this.#lanes.get(lane);
  }
}

const form = /^\d{12}$/;

/** The reference of a replayable source: a position is the index of a record. */
export class MemorySource implements ReplayableSource {
  readonly capabilities = { mutable: false, importsSchema: false } as const;
  readonly #name: string;
  readonly #origin: MemoryOrigin;

  constructor(name: string, origin: MemoryOrigin) {
    this.#name = name;
    this.#origin = origin;
  }

  async check(_signal: AbortSignal): Promise<void> {
    if (this.#origin.reachable) return;
    throw new PipelineError('source-unavailable', 'the origin is away: bring it back');
  }

  async lanes(_known: readonly KnownLane[], signal: AbortSignal): Promise<readonly ObservedLane[]> {
    await this.check(signal);
    const start = toPosition(0);
    return this.#origin.lanes().map((name) => ({ name, stream: name, start, memo: '' }));
  }

  async plan(
    lane: ObservedLane,
    from: Position,
    limits: PlanLimits,
    signal: AbortSignal,
  ): Promise<LanePlan> {
    await this.check(signal);
    const records = this.#origin.records(lane.name) ?? [];
    const ranges: PositionRange[] = [];
    for (let at = toIndex(from); at < records.length && ranges.length < limits.maxRanges;) {
      const range = cut(records, at, limits);
      ranges.push(range);
      at = toIndex(range.to);
    }
    return { ranges, memo: lane.memo };
  }

  async *read({ from, to }: PositionRange, context: ReadContext): AsyncIterable<RecordBlock> {
    await this.check(context.signal);
    const { name } = context.lane;
    const [first, end] = [toIndex(from), toIndex(to)];
    const records = this.#origin.records(name);
    if (!records || records.length < end) {
      throw new PipelineError('extract-lost', `lane ${name} no longer holds this range`);
    }
    for (let at = first; at < end; at += 1) {
      context.signal.throwIfAborted();
      yield this.#toBlock(name, at, records[at] ?? new Uint8Array());
    }
  }

  async window(_lane: KnownLane, asked: AskedWindow): Promise<PositionWindow> {
    return positionWindow(asked, (text) => toPosition(toIndex(text)));
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  #toBlock(lane: string, at: number, record: Uint8Array): RecordBlock {
    return {
      stream: lane,
      context: { format: { kind: 'json' } },
      bytes: record.slice(),
      starts: Uint32Array.of(0),
      ends: Uint32Array.of(record.length),
      idPrefix: `${this.#name}/${lane}/`,
      idNumbers: Float64Array.of(at),
    };
  }
}

/** As many records as the limits allow, one at least. */
function cut(records: readonly Uint8Array[], from: number, limits: PlanLimits): PositionRange {
  let [to, bytes] = [from, 0];
  for (const record of records.slice(from, from + limits.maxRecords)) {
    if (to > from && bytes + record.length > limits.maxBytes) break;
    bytes += record.length;
    to += 1;
  }
  return { from: toPosition(from), to: toPosition(to), bytes };
}

function toPosition(index: number): Position {
  return String(index).padStart(12, '0');
}

function toIndex(position: Position): number {
  if (form.test(position)) return Number(position);
  throw new PipelineError('position-corrupt', 'this is no position in memory: nothing was read');
}
