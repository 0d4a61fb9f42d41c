import { must } from '../../../core/errors.ts';
import type { RecordBlock, RecordFault, RecordLimits } from '../../../core/records.ts';
import type { CopyRow } from './copy-rows.ts';

const blockBytes = 2 ** 20;
const blockRecords = 10_000;

/** How the rows of one range are named. */
export interface RowLabels {
  readonly stream: string;
  /** Of event ids: source and lane. */
  readonly idPrefix: string;
  /** Position of a row by the digits of its cursor value. */
  toVersion(digits: string | null): string;
}

/** Joins rows to blocks. Without a key a row is known by its number in its range. */
export class BlockBuilder {
  readonly #labels: RowLabels;
  readonly #limits: RecordLimits;
  #open = emptyBlock();
  #rowNumber = 0;

  constructor(labels: RowLabels, limits: RecordLimits) {
    this.#labels = labels;
    this.#limits = limits;
  }

  /** Blocks that are complete now. */
  *add(rows: readonly CopyRow[]): Iterable<RecordBlock> {
    for (const row of rows) {
      this.#take(row);
      const { bytes, parts } = this.#open;
      if (bytes >= blockBytes || parts.length >= blockRecords) yield* this.flush();
    }
  }

  *flush(): Iterable<RecordBlock> {
    const open = this.#open;
    if (open.parts.length === 0) return;
    this.#open = emptyBlock();
    const count = open.parts.length;
    yield {
      stream: this.#labels.stream,
      context: { format: { kind: 'json' }, schemaId: this.#labels.stream },
      bytes: Buffer.concat(open.parts),
      starts: Uint32Array.from(open.ends, (_, at) => open.ends[at - 1] ?? 0),
      ends: Uint32Array.from(open.ends),
      idPrefix: '',
      idNumbers: new Float64Array(count),
      ids: open.ids,
      versions: open.versions,
      ...(open.faults.length > 0 && { faults: open.faults }),
    };
  }

  #take([key, digits, json]: CopyRow): void {
    const open = this.#open;
    const bytes = must(json, 'the row');
    const version = this.#labels.toVersion(digits ? toText(digits) : null);
    this.#rowNumber += 1;
    const name = key ? `${toText(key)}/${version}` : `${version}/${this.#rowNumber}`;
    if (bytes.length > this.#limits.maxBytes) {
      const message = `the row has ${bytes.length} bytes as JSON, more than ${this.#limits.maxBytes}`;
      open.faults.push({ index: open.parts.length, kind: 'too-large', message });
    }
    open.parts.push(bytes);
    open.bytes += bytes.length;
    open.ends.push(open.bytes);
    open.ids.push(`${this.#labels.idPrefix}${name}`);
    open.versions.push(version);
  }
}

function emptyBlock() {
  return {
    parts: [] as Uint8Array[],
    ends: [] as number[],
    ids: [] as string[],
    versions: [] as string[],
    faults: [] as RecordFault[],
    bytes: 0,
  };
}

/** ASCII. */
function toText(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}
