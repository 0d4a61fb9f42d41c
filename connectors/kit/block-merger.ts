import { eventIdOf, recordCount, versionOf, type RecordBlock } from '../../core/records.ts';

const blockBytes = 2 ** 20;
const blockRecords = 10_000;

/**
 * Joins small blocks of one stream and context into larger ones: what handles blocks has a price for
 * each. Blocks come out in the order of their first records, records of a stream stay in order.
 */
export class BlockMerger {
  #open = new Map<string, RecordBlock[]>();
  #bytes = 0;
  #records = 0;

  /** Blocks that are complete now. */
  *add(block: RecordBlock): Iterable<RecordBlock> {
    const key = JSON.stringify([block.stream, block.context]);
    const found = this.#open.get(key);
    if (found) found.push(block);
    else this.#open.set(key, [block]);
    this.#bytes += block.bytes.byteLength;
    this.#records += recordCount(block);
    if (this.#bytes >= blockBytes || this.#records >= blockRecords) yield* this.flush();
  }

  *flush(): Iterable<RecordBlock> {
    const open = this.#open;
    this.#open = new Map();
    this.#bytes = 0;
    this.#records = 0;
    for (const blocks of open.values()) yield join(blocks);
  }
}

function join(blocks: readonly RecordBlock[]): RecordBlock {
  const [first] = blocks as [RecordBlock];
  if (blocks.length === 1) return first;
  const places = blocks.flatMap((block) =>
    Array.from({ length: recordCount(block) }, (_, index) => ({ block, index })),
  );
  const offsets = new Map<RecordBlock, { bytes: number; records: number }>();
  let [bytes, records] = [0, 0];
  for (const block of blocks) {
    offsets.set(block, { bytes, records });
    bytes += block.bytes.byteLength;
    records += recordCount(block);
  }
  const shifted = (table: 'starts' | 'ends') =>
    Uint32Array.from(
      places,
      ({ block, index }) => (block[table][index] ?? 0) + (offsets.get(block)?.bytes ?? 0),
    );
  const faults = blocks.flatMap((block) =>
    (block.faults ?? []).map((fault) => ({
      ...fault,
      index: fault.index + (offsets.get(block)?.records ?? 0),
    })),
  );
  return {
    stream: first.stream,
    context: first.context,
    bytes: Buffer.concat(blocks.map((block) => block.bytes)),
    starts: shifted('starts'),
    ends: shifted('ends'),
    idPrefix: '',
    idNumbers: new Float64Array(records),
    ids: places.map(({ block, index }) => eventIdOf(block, index)),
    versions: places.map(({ block, index }) => versionOf(block, index)),
    ...(faults.length > 0 && { faults }),
  };
}
