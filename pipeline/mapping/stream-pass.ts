import {
  eventIdOf,
  versionOf,
  type RecordBlock,
  type RecordFormat,
  type RecordLimits,
} from '../../core/records.ts';
import type { StreamProfile } from '../../core/mapping.ts';
import { PathTree } from '../../formats/path-tree.ts';
import { createRecordReader } from '../../formats/create-record-reader.ts';
import type { ReadFault, RecordReader } from '../../formats/record-reader.ts';
import type { RecordTape } from '../../formats/record-tape.ts';
import type {
  BlockProcessorOptions,
  IndexedFailure,
  MapTarget,
  TargetOutput,
} from './block-output.ts';
import { classify } from './classify.ts';
import { StreamProfiler } from './profile.ts';
import { RowWriter, type RowFailure } from './row-writer.ts';

export interface RecordPlace {
  readonly index: number;
  readonly ordinal: number;
  readonly start: number;
  readonly end: number;
  readonly fault: ReadFault | undefined;
}

export interface StreamOutput {
  readonly failures: IndexedFailure[];
}

/** One stream on its way through a batch: its field paths, its profile, its rows per target. */
export class StreamPass {
  readonly #stream: string;
  readonly #limits: RecordLimits;
  readonly #tree = new PathTree();
  readonly #readers = new Map<string, RecordReader>();
  readonly #profiler: StreamProfiler | null;
  readonly #targets: readonly TargetPass[];
  #reader!: RecordReader;
  #block!: RecordBlock;
  #codes = new Uint8Array(256);
  #failures: IndexedFailure[] = [];

  constructor(stream: string, { profile, targets, limits }: BlockProcessorOptions) {
    this.#stream = stream;
    this.#limits = limits;
    this.#profiler = profile ? new StreamProfiler(this.#tree) : null;
    this.#targets = targets.map((target) => new TargetPass(stream, target, this.#tree));
  }

  begin(block: RecordBlock): StreamOutput {
    this.#reader = this.#readerOf(block.context.format);
    this.#block = block;
    this.#failures = [];
    for (const target of this.#targets) target.begin(block.starts.length);
    return { failures: this.#failures };
  }

  take(record: RecordPlace): void {
    const fault = record.fault ?? this.#read(record);
    if (fault) {
      const { kind, message } = fault;
      const { index, ordinal } = record;
      this.#failures.push({ index, ordinal, child: 0, stage: 'parse', kind, message });
      return;
    }
    const { tape } = this.#reader;
    this.#classify(tape);
    this.#profiler?.add(tape, this.#codes);
    for (const target of this.#targets) target.take(record, this.#block, tape, this.#codes);
  }

  end(): readonly TargetOutput[] {
    return this.#targets.map((target) => target.end(this.#stream));
  }

  profile(): StreamProfile | null {
    return this.#profiler?.result(this.#stream) ?? null;
  }

  #read({ start, end }: RecordPlace): ReadFault | null {
    if (end - start > this.#limits.maxBytes) {
      const limit = Math.round(this.#limits.maxBytes / 2 ** 20);
      return { kind: 'too-large', message: `the record is larger than ${limit} MiB` };
    }
    return this.#reader.read(this.#block.bytes, start, end);
  }

  #classify({ count, tokens, starts, ends }: RecordTape): void {
    if (this.#codes.length < count) this.#codes = new Uint8Array(tokens.length);
    const [codes, { bytes }] = [this.#codes, this.#block];
    for (let at = 0; at < count; at += 1) {
      const kind = tokens[at] as number;
      codes[at] = classify(kind, bytes, starts[at] as number, ends[at] as number);
    }
  }

  #readerOf(format: RecordFormat): RecordReader {
    const key = JSON.stringify(format);
    const reader = this.#readers.get(key) ?? createRecordReader(format, this.#tree, this.#limits);
    this.#readers.set(key, reader);
    return reader;
  }
}

/** The rows of one stream for one target. */
class TargetPass {
  readonly #destination: string;
  readonly #writer: RowWriter | null;
  readonly #merges: boolean;
  readonly #parksUnmapped: boolean;
  #ordinals = new Uint32Array(0);
  #rows = 0;
  #failures: IndexedFailure[] = [];
  #unmappedEvents = 0;

  constructor(stream: string, target: MapTarget, tree: PathTree) {
    const mapping = target.mappings.get(stream);
    this.#destination = target.destination;
    this.#merges = mapping?.merge !== undefined;
    this.#parksUnmapped = target.parksUnmapped ?? false;
    this.#writer = mapping ? new RowWriter(mapping, tree, target) : null;
  }

  begin(records: number): void {
    this.#ordinals = new Uint32Array(records);
    this.#rows = 0;
    this.#failures = [];
    this.#unmappedEvents = 0;
  }

  take(
    { index, ordinal }: RecordPlace,
    block: RecordBlock,
    tape: RecordTape,
    codes: Uint8Array,
  ): void {
    if (!this.#writer) {
      this.#unmappedEvents += 1;
      if (this.#parksUnmapped) this.#failures.push({ index, ordinal, child: 0, ...unmapped });
      return;
    }
    const eventId = eventIdOf(block, index);
    const version = this.#merges ? versionOf(block, index) : '';
    const failure = this.#writer.write({ bytes: block.bytes, tape, codes, eventId, version });
    if (failure) this.#fail(failure, index, ordinal);
    else this.#ordinals[this.#rows++] = ordinal;
  }

  end(stream: string): TargetOutput {
    const ordinals = this.#ordinals.slice(0, this.#rows);
    const parts = this.#rows === 0 ? [] : [{ stream, bytes: this.#take(), ordinals }];
    return {
      destination: this.#destination,
      parts,
      failures: this.#failures,
      unmappedEvents: this.#unmappedEvents,
    };
  }

  #take(): Uint8Array {
    return this.#writer?.take() ?? new Uint8Array(0);
  }

  #fail(failure: RowFailure, index: number, ordinal: number): void {
    if (failure.kind === 'unmapped-field') this.#unmappedEvents += 1;
    this.#failures.push({ index, ordinal, child: 0, stage: 'map', ...failure });
  }
}

const unmapped = {
  stage: 'map',
  kind: 'unmapped-stream',
  message: 'the source has as many streams as it may have, and this would be another one',
} as const;
