import { isUtf8 } from 'node:buffer';
import { PipelineError } from '../../core/errors.ts';
import type { PositionRange } from '../../core/positions.ts';
import type { PlanLimits } from '../../core/source.ts';
import { readCsvHeader } from '../../formats/csv/csv-header.ts';
import { PathTree } from '../../formats/path-tree.ts';
import { createRecordReader } from '../../formats/create-record-reader.ts';
import { defaultRecordLimits, type RecordFormat } from '../../core/records.ts';
import { readAll, readContent } from './content.ts';
import { lookAgain, type FoundFile } from './find-files.ts';
import { delimiterOf } from './format.ts';
import { bomLength, countNewlines, createLineScanner, isBlank } from './line-scanner.ts';
import type { FileMemo } from './memo.ts';
import { formatPosition, type FilePosition } from './position.ts';
import { isUntouched, PassingSample } from './recognise.ts';

/** A longer record is not cut anywhere: its file waits for a person. */
const longestRecord = 32 * 1024 * 1024;
const headerBytes = 1024 * 1024;
const newline = 0x0a;

export interface LinePlanInput {
  readonly file: FoundFile;
  /** Where the plan begins: the head, or the start of a new generation. */
  readonly start: FilePosition;
  /** The position that the first range must begin at. */
  readonly from: FilePosition;
  readonly memo: FileMemo & { readonly format: 'ndjson' | 'csv' };
  readonly limits: PlanLimits;
  /** Nothing changed in the file for long enough: its last line may lack a newline. */
  readonly settled: boolean;
  readonly signal: AbortSignal;
}

export interface LinePlan {
  readonly ranges: readonly PositionRange[];
  /** The memo with what was planned. */
  readonly seen: FileMemo;
  /** A last line without its end is there; it is looked at again later. */
  readonly openTail: boolean;
}

/** Cuts NDJSON at newlines and CSV at the ends of records. Null: it is another file by now. */
export async function planLines(input: LinePlanInput): Promise<LinePlan | null> {
  const { file, start, memo, signal } = input;
  const sample = await PassingSample.begin(file, memo);
  if (sample === null) return null;
  const header = await findHeader(input);
  if (header === 'unfinished') return planUnfinished(input);
  const { csv } = header;
  const cutter = new RangeCutter(input);
  const scanner = createLineScanner(memo.format, csv?.delimiter);
  for await (const chunk of readContent(file, { from: start.offset, signal })) {
    const more = cutter.take(chunk, scanner.ends(chunk));
    sample.take(chunk, cutter.end.offset);
    if (!more) break;
  }
  const tail = await lookAtTail(cutter, input, csv);
  if (tail.kind === 'whole') {
    cutter.takeTail(tail.bytes);
    sample.takeTail();
  }
  const head = cutter.end.offset;
  const seen = { ...withUnread(memo, tail), ...(csv && { csv }), head, ...sample.at(head) };
  return { ranges: cutter.ranges(), seen, openTail: tail.kind === 'open' };
}

/** The header has no end: there is no record yet. */
async function planUnfinished({ file, memo, settled }: LinePlanInput): Promise<LinePlan> {
  const start = await readAll(file, { to: headerBytes });
  const bytes = start.length - bomLength(start);
  if (bytes === 0) return { ranges: [], seen: withUnread(memo, none), openTail: false };
  if (!settled) return { ranges: [], seen: withUnread(memo, open), openTail: true };
  return { ranges: [], seen: withUnread(memo, { kind: 'broken', bytes }), openTail: false };
}

/** The memo with what is found behind the head now, in place of what was found before. */
function withUnread({ unread: _before, ...memo }: FileMemo, tail: Tail): FileMemo {
  return tail.kind === 'broken' ? { ...memo, unread: tail.bytes } : memo;
}

async function findHeader({
  file,
  memo,
}: LinePlanInput): Promise<Pick<FileMemo, 'csv'> | 'unfinished'> {
  if (memo.format === 'ndjson') return {};
  const csv = memo.csv ?? (await readHeader(file));
  return csv === undefined ? 'unfinished' : { csv };
}

/**
 * The header, always at the start of the file, once its line is complete: its end may be missing
 * however long the file rests, and there is no record before it.
 */
export async function readHeader(file: FoundFile): Promise<FileMemo['csv']> {
  const start = await readAll(file, { to: headerBytes });
  const from = bomLength(start);
  const [end] = createLineScanner('csv', delimiterOf(file, firstLine(start))).ends(start);
  if (end === undefined && start.length === headerBytes) {
    throw new PipelineError(
      'file-too-large',
      `the first line of ${file.path} should name the columns but has no end within ${headerBytes / 2 ** 20} MiB: correct the file, or set its format:`,
    );
  }
  if (end === undefined) return undefined;
  const line = trimTerminator(start.subarray(from, end));
  if (!isUtf8(line) || line.includes(0)) {
    throw new PipelineError(
      'invalid-config',
      `the header of ${file.path} is not UTF-8 text: write the file again as UTF-8`,
    );
  }
  const delimiter = delimiterOf(file, line);
  return { columns: [...readCsvHeader(line, delimiter)], delimiter };
}

function firstLine(start: Uint8Array): Uint8Array {
  const end = start.indexOf(10);
  return start.subarray(0, end < 0 ? start.length : end);
}

/**
 * What follows the last complete record. `whole`: one that only lacks its end, in a file that
 * rests. `open`: it may become one soon. `broken`: the file rests, and it is none.
 */
type Tail =
  | { readonly kind: 'none' | 'open' }
  | { readonly kind: 'whole'; readonly bytes: Uint8Array }
  | { readonly kind: 'broken'; readonly bytes: number };

const none: Tail = { kind: 'none' };
const open: Tail = { kind: 'open' };

async function lookAtTail(
  { tail, atEnd, end, tooLong }: RangeCutter,
  { file, settled, memo }: LinePlanInput,
  csv: FileMemo['csv'],
): Promise<Tail> {
  if (tooLong) return open; // the next plan begins there, and says so
  if (!atEnd || tail === 0) return none;
  if (!settled) return open;
  const bytes = await readAll(file, { from: end.offset, to: end.offset + tail });
  const now = await lookAgain(file);
  if (!now || !isUntouched(now, file)) return open; // it changed while it was cut
  if (isBlank(bytes, 0, bytes.length, memo.format)) return none;
  return isWhole(bytes, csv) ? { kind: 'whole', bytes } : { kind: 'broken', bytes: tail };
}

/** Sound; or whole lines inside quotes: what was opened there is not going to be closed any more. */
function isWhole(tail: Uint8Array, csv: FileMemo['csv']): boolean {
  if (csv === undefined) return isSound(tail, { kind: 'json' });
  return tail.at(-1) === newline || isSound(tail, { kind: 'csv', csv });
}

function isSound(bytes: Uint8Array, format: RecordFormat): boolean {
  const reader = createRecordReader(format, new PathTree(), defaultRecordLimits);
  return reader.read(bytes, 0, bytes.length) === null;
}

export function trimTerminator(line: Uint8Array): Uint8Array {
  let end = line.length;
  if (line[end - 1] === 0x0a) end -= 1;
  if (line[end - 1] === 0x0d) end -= 1;
  return line.subarray(0, end);
}

/** Turns record ends into ranges within the limits. */
class RangeCutter {
  readonly #input: LinePlanInput;
  readonly #ranges: PositionRange[] = [];
  #rangeStart: FilePosition;
  /** Behind the last complete record. */
  #end: FilePosition;
  #records = 0;
  #read: number;
  #full = false;

  constructor(input: LinePlanInput) {
    this.#input = input;
    this.#rangeStart = input.start;
    this.#end = input.start;
    this.#read = input.start.offset;
  }

  /** False when enough is planned. */
  take(chunk: Uint8Array, ends: readonly number[]): boolean {
    const base = this.#read;
    let last = 0;
    for (const end of ends) {
      const offset = base + end;
      if (offset - this.#rangeStart.offset > this.#input.limits.maxBytes) this.#cut();
      if (this.#full) return false;
      const line = this.#end.line + this.#openLines + countNewlines(chunk, last, end);
      this.#openLines = 0;
      this.#end = { generation: this.#input.start.generation, offset, line };
      last = end;
      this.#records += 1;
      if (this.#records >= this.#input.limits.maxRecords) this.#cut();
      if (this.#full) return false;
    }
    this.#read = base + chunk.length;
    this.#linesOfTail(chunk, last);
    return !this.tooLong;
  }

  #linesOfTail(chunk: Uint8Array, last: number): void {
    if (this.tooLong && this.#ranges.length === 0 && this.#records === 0) {
      throw new PipelineError(
        'file-too-large',
        `a record of ${this.#input.file.path} is larger than ${longestRecord / 2 ** 20} MiB: split it`,
      );
    }
    this.#openLines += countNewlines(chunk, last, chunk.length);
  }

  /** Newlines inside the record that is still open (CSV). */
  #openLines = 0;

  get end(): FilePosition {
    return this.#end;
  }

  /** The record that is open is longer than any may be. */
  get tooLong(): boolean {
    return this.tail > longestRecord;
  }

  /** Everything was read: what follows `end` is an unterminated record. */
  get atEnd(): boolean {
    return !this.#full;
  }

  /** Bytes behind the last complete record. */
  get tail(): number {
    return this.#read - this.#end.offset;
  }

  takeTail(tail: Uint8Array): void {
    const line = this.#end.line + this.#openLines + (tail.at(-1) === newline ? 0 : 1);
    this.#end = { ...this.#end, offset: this.#read, line };
  }

  ranges(): readonly PositionRange[] {
    this.#cut();
    return this.#ranges;
  }

  #cut(): void {
    if (this.#end.offset === this.#rangeStart.offset) return;
    const from = this.#ranges.length === 0 ? this.#input.from : this.#rangeStart;
    const bytes = this.#end.offset - this.#rangeStart.offset;
    this.#ranges.push({ from: formatPosition(from), to: formatPosition(this.#end), bytes });
    this.#rangeStart = this.#end;
    this.#records = 0;
    this.#full = this.#ranges.length >= this.#input.limits.maxRanges;
  }
}
