import type { EncodedRows } from '../core/destination.ts';
import { must } from '../core/errors.ts';
import { keyColumns, type ColumnMapping, type Mapping, type RowEncoding } from '../core/mapping.ts';
import {
  defaultRecordLimits,
  eventIdOf,
  recordCount,
  type RecordBlock,
  versionOf,
} from '../core/records.ts';
import type { MarkedEvents } from '../pipeline/batches/batch-to-load.ts';
import { createBlockProcessor } from '../pipeline/mapping/block-processor.ts';

export interface MarkOptions {
  readonly batchId: string;
  readonly mappings: readonly Mapping[];
  readonly encoding: RowEncoding;
}

/**
 * Some events of an extract, by what their table knows them: their ids, and in a `merge` table what
 * key and version can be read of them. Reads the extract in full.
 */
export async function markEvents(
  extract: AsyncIterable<RecordBlock>,
  wanted: ReadonlySet<number>,
  options: MarkOptions,
): Promise<readonly MarkedEvents[]> {
  const streams = new Map(
    options.mappings.map((mapping) => [mapping.stream, new StreamMarks(mapping, options)]),
  );
  let first = 0;
  for await (const block of extract) {
    const ordinals = Uint32Array.from({ length: recordCount(block) }, (_, at) => first + at).filter(
      (ordinal) => wanted.has(ordinal),
    );
    if (ordinals.length > 0) streams.get(block.stream)?.add(pick(block, ordinals, first), ordinals);
    first += recordCount(block);
  }
  return [...streams.values()].flatMap((marks) => marks.all());
}

/** Marks of the events of one stream. */
class StreamMarks {
  readonly #ids: Mapping;
  readonly #keys: Mapping | null;
  readonly #options: MarkOptions;
  readonly #keyReader: ReturnType<typeof createBlockProcessor>;
  readonly #ordinals = new Map<string, number[]>();
  #idRows: Uint8Array[] = [];
  #keyRows: Uint8Array[] = [];

  constructor(mapping: Mapping, options: MarkOptions) {
    this.#ids = idsOnly(mapping);
    this.#keys = mapping.merge
      ? { ...mapping, columns: keyAndVersion(mapping), extra: false }
      : null;
    this.#options = options;
    const { batchId, encoding } = options;
    const mappings = new Map(this.#keys ? [[mapping.stream, this.#keys]] : []);
    const target = { destination: '', batchId, mappings, encoding, partial: true } as const;
    const limits = defaultRecordLimits;
    this.#keyReader = createBlockProcessor({ profile: false, targets: [target], limits });
  }

  add(block: RecordBlock, ordinals: Uint32Array): void {
    const { encoding, batchId } = this.#options;
    const batch = encoding.escape(batchId);
    for (const [index, ordinal] of ordinals.entries()) {
      const id = eventIdOf(block, index);
      this.#ordinals.set(id, [...(this.#ordinals.get(id) ?? []), ordinal]);
      const row = `${encoding.escape(id)}${encoding.separator}${batch}${encoding.terminator}`;
      this.#idRows.push(Buffer.from(row));
    }
    if (this.#keys) this.#addKeys(block);
  }

  all(): readonly MarkedEvents[] {
    const marks = [{ rows: toRows(this.#ids, this.#idRows), ordinals: this.#ordinals }];
    if (!this.#keys) return marks;
    return [...marks, { rows: toRows(this.#keys, this.#keyRows), ordinals: this.#ordinals }];
  }

  #addKeys(block: RecordBlock): void {
    const [target] = this.#keyReader.process(block, 0).targets;
    for (const { bytes } of must(target, 'the rows of keys').parts) {
      for (let start = 0; start < bytes.length;) {
        const end = bytes.indexOf(newline, start) + 1; // of data they are escaped
        this.#keyRows.push(bytes.subarray(start, end));
        start = end;
      }
    }
  }
}

const newline = 10;

function idsOnly({ merge: _merge, ...mapping }: Mapping): Mapping {
  return { ...mapping, columns: [], extra: false };
}

function keyAndVersion(mapping: Mapping): readonly ColumnMapping[] {
  const version = mapping.columns.filter(({ path }) => path === mapping.merge?.version);
  return [...new Set([...keyColumns(mapping), ...version])];
}

/** Some records of a block, as a block. */
function pick(block: RecordBlock, ordinals: Uint32Array, first: number): RecordBlock {
  const indexes = [...ordinals].map((ordinal) => ordinal - first);
  const places = new Map(indexes.map((index, at) => [index, at]));
  return {
    ...block,
    starts: Uint32Array.from(indexes, (index) => must(block.starts[index])),
    ends: Uint32Array.from(indexes, (index) => must(block.ends[index])),
    idNumbers: Float64Array.from(indexes, (index) => must(block.idNumbers[index])),
    ids: indexes.map((index) => eventIdOf(block, index)),
    versions: indexes.map((index) => versionOf(block, index)),
    faults: (block.faults ?? []).flatMap((fault) => {
      const index = places.get(fault.index);
      return index === undefined ? [] : [{ ...fault, index }];
    }),
  };
}

function toRows(mapping: Mapping, rows: readonly Uint8Array[]): EncodedRows {
  return {
    mapping,
    rowCount: rows.length,
    async *read(from, to) {
      yield Buffer.concat(rows.slice(from, to));
    },
    laterColumns: async () => [],
    without: (excluded) =>
      toRows(
        mapping,
        rows.filter((_, row) => !excluded.has(row)),
      ),
  };
}
