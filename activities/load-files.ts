import type { EncodedIds, EncodedRows } from '../core/destination.ts';
import { PipelineError } from '../core/errors.ts';
import type { StagedFile, Staging } from '../core/staging.ts';
import { readWhole } from '../store/staging/read-whole.ts';
import type { LoadPart } from '../pipeline/batches/batch-to-load.ts';
import type { LoadFiles, LoadPartFiles } from './threads/block-task.ts';

/** @throws PipelineError `extract-lost` when it is gone or damaged; so do those who read its files. */
export async function readLoadFiles(staging: Staging, loadManifest: string): Promise<LoadFiles> {
  const text = (await collect(staging.get(loadManifest))).toString();
  try {
    return JSON.parse(text) as LoadFiles;
  } catch {
    throw new PipelineError('extract-lost', `staged file ${loadManifest} is damaged`);
  }
}

export async function readOrdinals(staging: Staging, part: LoadPartFiles): Promise<Uint32Array> {
  const bytes = await collect(readWhole(staging, part.ordinalsFile));
  return new Uint32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
}

/**
 * The staged rows of one table. Parts of the file are found by counting its row ends; the first
 * time, places are noted on the way, so that many small parts do not read it from its start.
 */
export function openEncodedRows(
  staging: Staging,
  { rowsFile, rowCount }: LoadPartFiles,
  about: Pick<EncodedRows, 'mapping' | 'laterColumns'>,
): EncodedRows {
  let noted: Promise<readonly number[]> | undefined;
  const read: EncodedRows['read'] = async function* (from, to) {
    if (from === 0 && to >= rowCount) return yield* readWhole(staging, rowsFile);
    const places = await (noted ??= notePlaces(readWhole(staging, rowsFile)));
    const first = Math.floor(from / notedRows);
    const chunks = staging.get(rowsFile.name, places[first], places[Math.ceil(to / notedRows)]);
    yield* cutRows(chunks, from - first * notedRows, to - first * notedRows);
  };
  return toEncodedRows({ ...about, rowCount, read });
}

function toEncodedRows(rows: Omit<EncodedRows, 'without'>): EncodedRows {
  return { ...rows, without: (excluded) => leaveOut(rows, excluded) };
}

function leaveOut(rows: Omit<EncodedRows, 'without'>, excluded: ReadonlySet<number>): EncodedRows {
  const kept = Uint32Array.from({ length: rows.rowCount - excluded.size });
  let count = 0;
  for (let row = 0; row < rows.rowCount; row += 1) if (!excluded.has(row)) kept[count++] = row;
  const read: EncodedRows['read'] = async function* (from, to) {
    const [first, last] = [kept[from], kept[Math.min(to, count) - 1]];
    if (first === undefined || last === undefined) return;
    yield* keepRows(rows.read(first, last + 1), (row) => !excluded.has(first + row));
  };
  return toEncodedRows({ ...rows, rowCount: count, read });
}

/** Of rows in chunks those that are to be kept, by their index from 0. */
async function* keepRows(
  chunks: AsyncIterable<Uint8Array>,
  isKept: (row: number) => boolean,
): AsyncIterable<Uint8Array> {
  let row = 0;
  for await (const chunk of chunks) {
    const pieces: Uint8Array[] = [];
    for (let start = 0; start < chunk.length;) {
      const end = chunk.indexOf(newline, start);
      const stop = end < 0 ? chunk.length : end + 1;
      if (isKept(row)) pieces.push(chunk.subarray(start, stop));
      if (end >= 0) row += 1;
      start = stop;
    }
    if (pieces.length > 0) yield Buffer.concat(pieces);
  }
}

/** No row of a table: a full refresh that found none. */
export function emptyPart(about: Pick<EncodedRows, 'mapping' | 'laterColumns'>): LoadPart {
  const rows = toEncodedRows({ ...about, rowCount: 0, async *read() {} });
  return { rows, ordinals: new Uint32Array(0) };
}

export function openIds(staging: Staging, file: StagedFile): EncodedIds {
  return { read: () => readWhole(staging, file) };
}

const notedRows = 256;

/** Where every 256th row begins. */
async function notePlaces(chunks: AsyncIterable<Uint8Array>): Promise<readonly number[]> {
  const places = [0];
  let [row, base] = [0, 0];
  for await (const chunk of chunks) {
    for (let at = chunk.indexOf(newline); at >= 0; at = chunk.indexOf(newline, at + 1)) {
      row += 1;
      if (row % notedRows === 0) places.push(base + at + 1);
    }
    base += chunk.length;
  }
  return places;
}

const newline = 10;

/** Rows end with a newline; data newlines are escaped by the encoding. */
async function* cutRows(
  chunks: AsyncIterable<Uint8Array>,
  from: number,
  to: number,
): AsyncIterable<Uint8Array> {
  let row = 0;
  for await (const chunk of chunks) {
    let start = row >= from ? 0 : -1;
    let at = 0;
    while (row < to) {
      const end = chunk.indexOf(newline, at);
      if (end < 0) break;
      row += 1;
      at = end + 1;
      if (row === from) start = at;
    }
    const stop = row >= to ? at : chunk.length;
    if (start >= 0 && stop > start) yield chunk.subarray(start, stop);
    if (row >= to) return;
  }
}

async function collect(content: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks = [];
  for await (const chunk of content) chunks.push(chunk);
  return Buffer.concat(chunks);
}
