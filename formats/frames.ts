import { PipelineError } from '../core/errors.ts';
import type { RecordBlock, RecordContext, RecordFault } from '../core/records.ts';

/**
 * A staged extract is a sequence of frames, one per block: magic, lengths of the head, the tables
 * and the bytes with and without padding (unsigned 32-bit, little-endian), then these: a JSON head,
 * tables of ids, line numbers and offsets, the bytes of the records. The manifest holds the hash of
 * the whole.
 */
const magic = 0x4d524642;
const prefixBytes = 24;

interface FrameHead {
  readonly stream: string;
  readonly context: RecordContext;
  readonly idPrefix: string;
  readonly count: number;
  readonly ids?: readonly string[] | undefined;
  readonly versionPrefix?: string | undefined;
  readonly versions?: readonly string[] | undefined;
  readonly lines: boolean;
  readonly faults?: readonly RecordFault[] | undefined;
}

/** A block as bytes. Any content survives; the pieces are to be written one after the other. */
export function encodeFrame(block: RecordBlock): readonly Uint8Array[] {
  const head: FrameHead = {
    stream: block.stream,
    context: block.context,
    idPrefix: block.idPrefix,
    count: block.starts.length,
    ids: block.ids,
    versionPrefix: block.versionPrefix,
    versions: block.versions,
    lines: block.lineNumbers !== undefined,
    faults: block.faults,
  };
  const text = padded(Buffer.from(JSON.stringify(head)));
  const numbers = [block.idNumbers, ...(block.lineNumbers ? [block.lineNumbers] : [])];
  const offsets = [block.starts, block.ends];
  const tables = [...numbers, ...offsets].map(toBytes);
  const bytes = padded(block.bytes);
  const prefix = Buffer.alloc(prefixBytes);
  prefix.writeUInt32LE(magic, 0);
  prefix.writeUInt32LE(text.length, 4);
  prefix.writeUInt32LE(sum(tables), 8);
  prefix.writeUInt32LE(bytes.length, 12);
  prefix.writeUInt32LE(block.bytes.length, 16);
  return [prefix, text, ...tables, bytes];
}

/**
 * Blocks from the chunks of a staged file.
 * @throws PipelineError `extract-lost` when the frames are damaged.
 */
export async function* decodeFrames(chunks: AsyncIterable<Uint8Array>): AsyncIterable<RecordBlock> {
  const reader = new ByteReader(chunks[Symbol.asyncIterator]());
  for (;;) {
    const prefix = await reader.take(prefixBytes);
    if (prefix === null) return;
    const view = new DataView(prefix.buffer, prefix.byteOffset, prefix.length);
    if (view.getUint32(0, true) !== magic) throw damaged();
    const [textLength, tableLength, bytesLength, length] = [4, 8, 12, 16].map((at) =>
      view.getUint32(at, true),
    ) as [number, number, number, number];
    const body = await reader.take(textLength + tableLength + bytesLength);
    if (body === null || length > bytesLength) throw damaged();
    yield toBlock(body, { textLength, tableLength, length });
  }
}

interface FrameLengths {
  readonly textLength: number;
  readonly tableLength: number;
  readonly length: number;
}

function toBlock(body: Uint8Array, { textLength, tableLength, length }: FrameLengths): RecordBlock {
  const head = parseHead(body.subarray(0, textLength));
  const { stream, context, idPrefix, count, lines } = head;
  const wanted = count * (8 + (lines ? 8 : 0) + 8);
  if (wanted !== tableLength) throw damaged();
  let at = body.byteOffset + textLength;
  const { buffer } = body;
  const idNumbers = new Float64Array(buffer as ArrayBuffer, at, count);
  at += count * 8;
  const lineNumbers = lines ? new Float64Array(buffer as ArrayBuffer, at, count) : undefined;
  at += lines ? count * 8 : 0;
  const starts = new Uint32Array(buffer as ArrayBuffer, at, count);
  const ends = new Uint32Array(buffer as ArrayBuffer, at + count * 4, count);
  at += count * 8;
  if (ends.some((end, n) => end > length || (starts[n] ?? 0) > end)) throw damaged();
  const bytes = new Uint8Array(buffer as ArrayBuffer, at, length);
  const block = { stream, context, idPrefix, idNumbers, starts, ends, bytes };
  return { ...block, ...optionalParts(head), ...(lineNumbers && { lineNumbers }) };
}

function optionalParts({ ids, versionPrefix, versions, faults }: FrameHead): Partial<RecordBlock> {
  return {
    ...(ids && { ids }),
    ...(versionPrefix !== undefined && { versionPrefix }),
    ...(versions && { versions }),
    ...(faults && { faults }),
  };
}

function parseHead(text: Uint8Array): FrameHead {
  try {
    return JSON.parse(Buffer.from(text).toString()) as FrameHead;
  } catch {
    throw damaged();
  }
}

/** Multiples of 8, so that the tables behind can be read in place. */
function padded(bytes: Uint8Array): Uint8Array {
  const rest = bytes.length % 8;
  if (rest === 0) return bytes;
  const result = new Uint8Array(bytes.length + 8 - rest).fill(0x20, bytes.length);
  result.set(bytes);
  return result;
}

function toBytes(table: Float64Array | Uint32Array): Uint8Array {
  return new Uint8Array(table.buffer, table.byteOffset, table.byteLength);
}

function sum(tables: readonly Uint8Array[]): number {
  return tables.reduce((total, { length }) => total + length, 0);
}

function damaged(): PipelineError {
  return new PipelineError(
    'extract-lost',
    'a staged extract is damaged: it is read from its source again',
  );
}

/** Cuts a stream of chunks into pieces of known length, each in memory of its own. */
class ByteReader {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #rest: Uint8Array = new Uint8Array(0);

  constructor(chunks: AsyncIterator<Uint8Array>) {
    this.#chunks = chunks;
  }

  /** Exactly so many bytes; null at the end of the stream. */
  async take(length: number): Promise<Uint8Array | null> {
    const result = new Uint8Array(length);
    let filled = 0;
    while (filled < length) {
      if (this.#rest.length === 0) {
        const next = await this.#chunks.next();
        if (next.done === true) {
          if (filled === 0) return null;
          throw damaged();
        }
        this.#rest = next.value;
      }
      const part = this.#rest.subarray(0, length - filled);
      result.set(part, filled);
      filled += part.length;
      this.#rest = this.#rest.subarray(part.length);
    }
    return result;
  }
}
