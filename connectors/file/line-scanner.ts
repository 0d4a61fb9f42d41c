import { CsvBoundaries } from '../../formats/csv/csv-boundaries.ts';

const whiteSpace: ReadonlySet<number> = new Set([0x20, 0x09, 0x0a, 0x0d]);

/** Ends of records in a stream of chunks, and how many lines have passed. */
export interface LineScanner {
  /** Offsets just behind the newline of each record that ends in this chunk. */
  ends(chunk: Uint8Array): readonly number[];
}

export function createLineScanner(
  format: 'ndjson' | 'csv',
  delimiter: string | undefined,
): LineScanner {
  if (format === 'csv') return new CsvBoundaries(delimiter ?? ',');
  return { ends: newlines };
}

function newlines(chunk: Uint8Array): readonly number[] {
  const ends = [];
  for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) ends.push(at + 1);
  return ends;
}

/** Newlines in part of a chunk. */
export function countNewlines(chunk: Uint8Array, from: number, to: number): number {
  let count = 0;
  for (let at = chunk.indexOf(10, from); at >= 0 && at < to; at = chunk.indexOf(10, at + 1))
    count += 1;
  return count;
}

/**
 * Whether a line (without its newline) is nothing. White space between JSON records is; between
 * tabs it is a row of empty cells.
 */
export function isBlank(
  bytes: Uint8Array,
  from: number,
  to: number,
  format: 'ndjson' | 'csv',
): boolean {
  if (format === 'csv') return to <= from;
  for (let at = from; at < to; at += 1) if (!whiteSpace.has(bytes[at] as number)) return false;
  return true;
}

/** UTF-8 byte order mark at the start of a file. */
export function bomLength(start: Uint8Array): number {
  return start[0] === 0xef && start[1] === 0xbb && start[2] === 0xbf ? 3 : 0;
}
