import { isAscii, isUtf8 } from 'node:buffer';
import type { RecordFormat } from '../../core/records.ts';
import { type PathTree, rootNode } from '../path-tree.ts';
import type { ReadFault, RecordReader } from '../record-reader.ts';
import { RecordTape, token, type Token } from '../record-tape.ts';

const quote = 0x22;

/** Takes CSV records apart, as RFC 4180 has them: unquoted empty = null, `""` = empty text. */
export class CsvReader implements RecordReader {
  readonly tape = new RecordTape();
  readonly #nodes: readonly number[];
  readonly #delimiter: number;
  #ascii: { bytes: Uint8Array; is: boolean } | null = null;
  #at = 0;

  constructor({ csv }: RecordFormat, tree: PathTree) {
    this.#delimiter = (csv?.delimiter ?? ',').charCodeAt(0);
    this.#nodes = (csv?.columns ?? []).map((key) =>
      tree.child(rootNode, key, { previous: -1, bytes: null }),
    );
  }

  read(bytes: Uint8Array, start: number, end: number): ReadFault | null {
    if (!this.#isText(bytes, start, end)) {
      return { kind: 'invalid-encoding', message: 'the row is not valid UTF-8' };
    }
    this.tape.count = 0;
    this.#at = start;
    let cells = 0;
    for (;;) {
      const fault = this.#cell(bytes, end, this.#nodes[cells] ?? -1);
      if (fault) return fault;
      cells += 1;
      if (this.#at >= end) break;
      this.#at += 1; // the delimiter
    }
    if (cells === this.#nodes.length) return null;
    return {
      kind: 'invalid-csv',
      message: `the row has ${cells} cells where the header has ${this.#nodes.length}`,
    };
  }

  #isText(bytes: Uint8Array, start: number, end: number): boolean {
    if (this.#ascii?.bytes !== bytes) this.#ascii = { bytes, is: isAscii(bytes) };
    return this.#ascii.is || isUtf8(bytes.subarray(start, end));
  }

  #cell(bytes: Uint8Array, end: number, node: number): ReadFault | null {
    if (this.#at < end && bytes[this.#at] === quote) return this.#quoted(bytes, end, node);
    const start = this.#at;
    let at = start;
    while (at < end && bytes[at] !== this.#delimiter) at += 1;
    this.#at = at;
    if (node >= 0) this.tape.push(node, at === start ? token.null : token.cell, start, at);
    return null;
  }

  #quoted(bytes: Uint8Array, end: number, node: number): ReadFault | null {
    const start = this.#at + 1;
    let at = indexOfQuote(bytes, start, end);
    let kind: Token = token.cell;
    while (at + 1 < end && bytes[at + 1] === quote) {
      kind = token.quotedCell;
      at = indexOfQuote(bytes, at + 2, end);
    }
    if (at >= end) return { kind: 'invalid-csv', message: 'a quoted cell does not end' };
    this.#at = at + 1;
    if (this.#at < end && bytes[this.#at] !== this.#delimiter) {
      return { kind: 'invalid-csv', message: 'something follows the closing quote of a cell' };
    }
    if (node >= 0) this.tape.push(node, kind, start, at);
    return null;
  }
}

/** `end` where there is none. */
function indexOfQuote(bytes: Uint8Array, from: number, end: number): number {
  let at = from;
  while (at < end && bytes[at] !== quote) at += 1;
  return at;
}
