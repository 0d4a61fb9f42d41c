import { PipelineError } from '../../../core/errors.ts';

/** Fields of one row; null for NULL. Views of a buffer that is not used again. */
export type CopyRow = readonly (Uint8Array | null)[];

/** Signature, flags and length of an extension: none is known. */
const headerBytes = 19;
const endOfRows = 0xffff;

/** Rows of `COPY … TO STDOUT (FORMAT binary)`, in which text stands as it is, byte for byte. */
export async function* readCopyRows(
  chunks: AsyncIterable<Uint8Array>,
): AsyncIterable<readonly CopyRow[]> {
  const parser = new CopyParser();
  for await (const chunk of chunks) {
    const rows = parser.add(chunk);
    if (rows.length > 0) yield rows;
  }
  if (!parser.isComplete) throw new PipelineError('source-unavailable', 'the rows broke off');
}

class CopyParser {
  #chunks: Uint8Array[] = [];
  #bytes = 0;
  /** So many are needed for the next row: a large one is joined once, not with every chunk. */
  #needed = headerBytes;
  #inHeader = true;
  isComplete = false;

  add(chunk: Uint8Array): readonly CopyRow[] {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    return this.#bytes < this.#needed ? [] : this.#parse();
  }

  #parse(): readonly CopyRow[] {
    const buffer = this.#chunks.length === 1 ? this.#chunks[0] : Buffer.concat(this.#chunks);
    const reader = new RowReader(buffer ?? new Uint8Array());
    if (this.#inHeader) reader.at = headerBytes;
    this.#inHeader = false;
    const rows: CopyRow[] = [];
    for (let row = reader.next(); row !== null; row = reader.next()) rows.push(row);
    this.isComplete ||= reader.isAtEnd;
    const rest = reader.rest();
    this.#chunks = [rest];
    this.#bytes = rest.length;
    this.#needed = Math.max(reader.needed, rest.length + 1);
    return rows;
  }
}

class RowReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  at = 0;
  /** Bytes from `at` on that the row there is known to need. */
  needed = 0;
  isAtEnd = false;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Null: the next row is not complete, or there is none. */
  next(): CopyRow | null {
    if (this.isAtEnd || !this.#has(2, this.at)) return null;
    const count = this.#view.getUint16(this.at);
    if (count === endOfRows) {
      this.at += 2;
      this.isAtEnd = true;
      return null;
    }
    const fields: (Uint8Array | null)[] = [];
    let at = this.at + 2;
    for (let field = 0; field < count; field += 1) {
      if (!this.#has(4, at)) return null;
      const length = this.#view.getInt32(at);
      at += 4;
      if (!this.#has(Math.max(length, 0), at)) return null;
      fields.push(length < 0 ? null : this.#bytes.subarray(at, at + length));
      at += Math.max(length, 0);
    }
    this.at = at;
    return fields;
  }

  rest(): Uint8Array {
    return this.#bytes.subarray(this.at);
  }

  #has(length: number, from: number): boolean {
    this.needed = from + length - this.at;
    return from + length <= this.#bytes.length;
  }
}
