import { must } from '../../core/errors.ts';
import type { RecordBlock, RecordContext, RecordFault } from '../../core/records.ts';
import { countNewlines, createLineScanner, isBlank } from './line-scanner.ts';
import type { Document } from './plan-document.ts';

const blockBytes = 1024 * 1024;

export interface BlockLabels {
  readonly stream: string;
  readonly context: RecordContext;
  /** Everything of an event id but its number. */
  readonly idPrefix: string;
  readonly versionPrefix: string;
}

export interface LinesToRead {
  readonly labels: BlockLabels;
  readonly format: 'ndjson' | 'csv';
  readonly delimiter?: string | undefined;
  /** Byte and line of the first chunk's first byte. */
  readonly offset: number;
  readonly line: number;
  /** Skip what stands before the first record: byte order mark and CSV header. */
  readonly skip: number;
}

/** Blocks of records from the bytes of a range that ends at the end of a record. */
export async function* readLines(
  chunks: AsyncIterable<Uint8Array>,
  lines: LinesToRead,
): AsyncIterable<RecordBlock> {
  const builder = new BlockBuilder(lines);
  const scanner = createLineScanner(lines.format, lines.delimiter);
  const open = new OpenRecord();
  for await (const chunk of chunks) {
    const ends = scanner.ends(chunk);
    const end = ends.at(-1);
    if (end === undefined) {
      open.add(chunk);
      continue;
    }
    const before = open.length;
    const bytes = open.finish(chunk.subarray(0, end));
    open.add(chunk.subarray(end));
    const block = builder.build(
      bytes,
      ends.map((at) => at + before),
    );
    if (block) yield block;
  }
  if (open.length > 0) {
    const bytes = open.finish();
    const block = builder.build(bytes, [bytes.length]);
    if (block) yield block;
  }
}

/** The record whose end is yet to come: joined once, not with every chunk of a large one. */
class OpenRecord {
  #pieces: Uint8Array[] = [];
  length = 0;

  add(piece: Uint8Array): void {
    if (piece.length > 0) this.#pieces.push(piece);
    this.length += piece.length;
  }

  /** What was open, and the bytes up to its end (and more). */
  finish(last?: Uint8Array): Uint8Array {
    if (last) this.add(last);
    const [first] = this.#pieces;
    const bytes = this.#pieces.length === 1 && first ? first : Buffer.concat(this.#pieces);
    this.#pieces = [];
    this.length = 0;
    return bytes;
  }
}

/** Remembers where in the file the next block begins. */
class BlockBuilder {
  readonly #lines: LinesToRead;
  #offset: number;
  #line: number;

  constructor(lines: LinesToRead) {
    this.#lines = lines;
    this.#offset = lines.offset;
    this.#line = lines.line;
  }

  /** Null where there are only blank lines. */
  build(bytes: Uint8Array, recordEnds: readonly number[]): RecordBlock | null {
    const size = recordEnds.length;
    const [starts, ends] = [new Uint32Array(size), new Uint32Array(size)];
    const [idNumbers, lineNumbers] = [new Float64Array(size), new Float64Array(size)];
    let [count, start, line] = [0, 0, this.#line];
    for (const recordEnd of recordEnds) {
      const from = Math.max(start, Math.min(recordEnd, this.#lines.skip - this.#offset));
      const to = trimEnd(bytes, from, recordEnd);
      if (!isBlank(bytes, from, to, this.#lines.format)) {
        starts[count] = from;
        ends[count] = to;
        idNumbers[count] = this.#offset + from;
        lineNumbers[count] = line + 1;
        count += 1;
      }
      line += countNewlines(bytes, start, recordEnd);
      start = recordEnd;
    }
    this.#offset += bytes.length;
    this.#line = line;
    if (count === 0) return null;
    return {
      ...this.#lines.labels,
      bytes,
      starts: starts.subarray(0, count).slice(),
      ends: ends.subarray(0, count).slice(),
      idNumbers: idNumbers.slice(0, count),
      lineNumbers: lineNumbers.slice(0, count),
    };
  }
}

/** Without newline, carriage return. */
function trimEnd(bytes: Uint8Array, start: number, end: number): number {
  let to = end;
  if (to > start && bytes[to - 1] === 0x0a) to -= 1;
  if (to > start && bytes[to - 1] === 0x0d) to -= 1;
  return to;
}

/** Blocks from a document: its elements, or, where it is not sound, all of it as one record. */
export function* documentBlocks(
  { bytes, elements, fault }: Document,
  labels: BlockLabels,
): Iterable<RecordBlock> {
  if (!elements) {
    yield oneRecord(bytes, labels, must(fault, 'what is wrong with the document'));
    return;
  }
  const { starts, ends } = elements;
  for (let first = 0; first < starts.length;) {
    const base = starts[first] as number;
    let last = first;
    while (last + 1 < starts.length && (ends[last + 1] as number) - base <= blockBytes) last += 1;
    const numbers = Float64Array.from({ length: last + 1 - first }, (_, n) => first + n);
    yield {
      ...labels,
      bytes: bytes.slice(base, ends[last]),
      starts: starts.slice(first, last + 1).map((at) => at - base),
      ends: ends.slice(first, last + 1).map((at) => at - base),
      idNumbers: numbers,
      lineNumbers: numbers.map((n) => n + 1),
    };
    first = last + 1;
  }
}

function oneRecord(
  bytes: Uint8Array,
  labels: BlockLabels,
  fault: Omit<RecordFault, 'index'>,
): RecordBlock {
  return {
    ...labels,
    bytes,
    starts: Uint32Array.of(0),
    ends: Uint32Array.of(bytes.length),
    idNumbers: Float64Array.of(0),
    lineNumbers: Float64Array.of(1),
    faults: [{ index: 0, ...fault }],
  };
}
