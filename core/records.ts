/**
 * How the bytes of one record are to be read. Kept with every failed event, so that it can be
 * read again on its own, months later.
 */
export interface RecordFormat {
  readonly kind: 'json' | 'csv';
  /** CSV: the column names of the header and the delimiter. */
  readonly csv?: { readonly columns: readonly string[]; readonly delimiter: string };
}

/** Where a record came from; shown to people, never parsed. Values that name places, not rows. */
export interface RecordContext {
  readonly format: RecordFormat;
  readonly fileName?: string;
  readonly schemaId?: string;
}

/**
 * A run of consecutive records of one stream, as bytes. Blocks, not records, cross interfaces:
 * one object per thousand records instead of one each. Record i is
 * `bytes.subarray(starts[i], ends[i])`, without its terminator.
 */
export interface RecordBlock {
  readonly stream: string;
  readonly context: RecordContext;
  readonly bytes: Uint8Array;
  readonly starts: Uint32Array;
  readonly ends: Uint32Array;
  /** Event id of record i: `ids[i]` where ids are given, else `idPrefix + idNumbers[i]`. */
  readonly idPrefix: string;
  readonly idNumbers: Float64Array;
  readonly ids?: readonly string[];
  /**
   * Version of record i, which decides in `merge` tables: `versions[i]` where given, else
   * `versionPrefix` + idNumbers[i]. Sorts as text (by bytes), newer behind older, and does not
   * depend on how the lane was cut into batches.
   */
  readonly versionPrefix?: string;
  readonly versions?: readonly string[];
  /** Line (or element) number of the first record, 1-based, and the step to the next, where known. */
  readonly lineNumbers?: Float64Array;
  /** Records which the reader itself could not take apart: index in this block and why. */
  readonly faults?: readonly RecordFault[];
}

export interface RecordFault {
  readonly index: number;
  readonly kind:
    | 'invalid-json'
    | 'invalid-csv'
    | 'invalid-encoding'
    | 'too-large'
    | 'too-deep'
    | 'unmapped-stream';
  /** Says what is wrong without quoting the record. */
  readonly message: string;
}

export function recordCount(block: RecordBlock): number {
  return block.starts.length;
}

export function recordBytes(block: RecordBlock, index: number): Uint8Array {
  return block.bytes.subarray(block.starts[index], block.ends[index]);
}

export function eventIdOf(block: RecordBlock, index: number): string {
  return block.ids?.[index] ?? `${block.idPrefix}${block.idNumbers[index]}`;
}

/** As many digits as the largest id number has. */
const versionDigits = 16;

export function versionOf(block: RecordBlock, index: number): string {
  const given = block.versions?.[index];
  if (given !== undefined) return given;
  const number = String(block.idNumbers[index] ?? 0).padStart(versionDigits, '0');
  return `${block.versionPrefix ?? ''}${number}`;
}

/** Limits on one record. Beyond them it is parked whole, as `too-large` or `too-deep`. */
export interface RecordLimits {
  readonly maxBytes: number;
  readonly maxDepth: number;
}

export const defaultRecordLimits: RecordLimits = { maxBytes: 4 * 1024 * 1024, maxDepth: 100 };
