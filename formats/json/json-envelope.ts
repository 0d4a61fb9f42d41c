import { JsonCursor } from './json-cursor.ts';
import { invalid } from './json-fault.ts';

const quote = 0x22;
const openBrace = 0x7b;
const closeBrace = 0x7d;

/** A field that is looked for, below the fields that lead to it. */
interface WantedField {
  readonly key: string;
  readonly keyBytes: Uint8Array;
  /** Where its value goes; -1: it only leads to others. */
  slot: number;
  readonly below: WantedField[];
}

/** What stands at a field: text, `null` where it is no text and no number, undefined without it. */
export type EnvelopeValue = string | null | undefined;

export interface Envelope {
  /** In the order of the paths. */
  readonly values: readonly EnvelopeValue[];
  readonly end: number;
  /** Objects and arrays inside one another, the record itself included. */
  readonly depth: number;
}

/**
 * Reads a few fields of a JSON record and checks the grammar of the rest, without looking into it:
 * keys that stand twice, numbers and encoding are the matter of who reads the record as a whole.
 */
export class EnvelopeReader {
  readonly #wanted: WantedField[] = [];
  readonly #count: number;
  readonly #cursor = new JsonCursor();
  #values: EnvelopeValue[] = [];
  #depth = 0;

  constructor(paths: readonly (readonly string[])[]) {
    this.#count = paths.length;
    for (const [slot, path] of paths.entries()) this.#want(path, slot);
  }

  /**
   * Reads the value that begins in `bytes[start..end)`.
   * @throws JsonFault when it is not sound JSON.
   */
  read(bytes: Uint8Array, start: number, end: number): Envelope {
    const cursor = this.#cursor;
    cursor.reset(bytes, start, end);
    this.#values = Array.from({ length: this.#count });
    this.#depth = 0;
    if (cursor.peek() === openBrace) this.#object(this.#wanted, 1);
    else this.#pass(0);
    return { values: this.#values, end: cursor.at, depth: this.#depth };
  }

  /** @throws JsonFault when something but white space lies between two places. */
  expectEnd(bytes: Uint8Array, start: number, end: number): void {
    this.#cursor.reset(bytes, start, end);
    if (this.#cursor.peek() !== -1) throw invalid('something follows the record');
  }

  #want(path: readonly string[], slot: number): void {
    let fields = this.#wanted;
    for (const [at, key] of path.entries()) {
      let field = fields.find((one) => one.key === key);
      if (!field) {
        field = { key, keyBytes: Buffer.from(key), slot: -1, below: [] };
        fields.push(field);
      }
      if (at === path.length - 1) field.slot = slot;
      fields = field.below;
    }
  }

  #object(wanted: readonly WantedField[], depth: number): void {
    const cursor = this.#cursor;
    this.#noteDepth(depth);
    cursor.at += 1;
    if (cursor.peek() === closeBrace) return void (cursor.at += 1);
    for (;;) {
      const field = this.#key(wanted);
      if (field) this.#field(field, depth);
      else this.#pass(depth);
      const byte = cursor.peek();
      cursor.at += 1;
      if (byte === closeBrace) return;
      if (byte !== 0x2c) throw invalid('an object lacks a comma or its end');
    }
  }

  #key(wanted: readonly WantedField[]): WantedField | undefined {
    const cursor = this.#cursor;
    if (cursor.peek() !== quote) throw invalid('a key in quotes is expected');
    const start = (cursor.at += 1);
    const stop = cursor.string();
    const { escaped } = cursor;
    cursor.colon();
    if (!escaped) return wanted.find((field) => this.#isAt(field.keyBytes, start, stop));
    const key = cursor.decode(start, stop, true);
    return wanted.find((field) => field.key === key);
  }

  #isAt(key: Uint8Array, start: number, stop: number): boolean {
    if (stop - start !== key.length) return false;
    const { bytes } = this.#cursor;
    for (let at = 0; at < key.length; at += 1) if (bytes[start + at] !== key[at]) return false;
    return true;
  }

  #field({ slot, below }: WantedField, depth: number): void {
    const cursor = this.#cursor;
    const byte = cursor.peek();
    if (byte === openBrace && below.length > 0) return this.#object(below, depth + 1);
    const start = cursor.at;
    this.#pass(depth);
    if (slot >= 0) this.#values[slot] = this.#scalar(byte, start);
  }

  #scalar(byte: number, start: number): string | null {
    const cursor = this.#cursor;
    if (byte === quote) return cursor.decode(start + 1, cursor.at - 1, cursor.escaped);
    const isNumber = byte === 0x2d || (byte >= 0x30 && byte <= 0x39);
    return isNumber ? cursor.decode(start, cursor.at, false) : null;
  }

  #pass(depth: number): void {
    const cursor = this.#cursor;
    const byte = cursor.peek();
    if (byte !== openBrace && byte !== 0x5b) return cursor.skipScalar(byte);
    cursor.deepest = 0;
    cursor.passValue();
    this.#noteDepth(depth + cursor.deepest);
  }

  #noteDepth(depth: number): void {
    if (depth > this.#depth) this.#depth = depth;
  }
}
