const quote = 0x22;
const newline = 0x0a;

const cellStart = 0;
const unquoted = 1;
const quoted = 2;
const quoteInQuoted = 3;

/**
 * Finds where CSV records end while bytes pass by in chunks. A newline inside quotes belongs to
 * its cell; a quote opens a cell only at its start. Begin at the start of a record.
 */
export class CsvBoundaries {
  readonly #delimiter: number;
  #state = cellStart;

  constructor(delimiter: string) {
    this.#delimiter = delimiter.charCodeAt(0);
  }

  /** Offsets (in the chunk) just behind each newline that ends a record. */
  ends(chunk: Uint8Array): number[] {
    const ends: number[] = [];
    let state = this.#state;
    for (let at = 0; at < chunk.length; at += 1) {
      const byte = chunk[at] as number;
      if (state === quoted) {
        if (byte === quote) state = quoteInQuoted;
      } else if (byte === newline) {
        state = cellStart;
        ends.push(at + 1);
      } else state = this.#next(state, byte);
    }
    this.#state = state;
    return ends;
  }

  #next(state: number, byte: number): number {
    if (byte === this.#delimiter) return cellStart;
    if (byte === quote && state !== unquoted) return quoted;
    return unquoted;
  }
}
