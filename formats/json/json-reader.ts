import { isAscii, isUtf8 } from 'node:buffer';
import type { RecordLimits } from '../../core/records.ts';
import { type PathTree, rootNode } from '../path-tree.ts';
import type { ReadFault, RecordReader } from '../record-reader.ts';
import { RecordTape, token } from '../record-tape.ts';
import { JsonCursor, assertDepth } from './json-cursor.ts';
import { invalid, JsonFault } from './json-fault.ts';

/** Objects are flattened to this depth; what lies deeper stays JSON. */
export const flattenDepth = 5;
/** Field of a record that is no object. */
export const valueField = 'value';

const quote = 0x22;

/**
 * Takes JSON records apart, exactly: numbers as they are written, no key twice, strict UTF-8.
 * `JSON.parse` would round numbers and keep the last of two equal keys.
 */
export class JsonReader implements RecordReader {
  readonly tape = new RecordTape();
  readonly #tree: PathTree;
  readonly #maxDepth: number;
  readonly #cursor = new JsonCursor();
  #ascii: { bytes: Uint8Array; is: boolean } | null = null;

  constructor(tree: PathTree, limits: RecordLimits) {
    this.#tree = tree;
    this.#maxDepth = limits.maxDepth;
  }

  read(bytes: Uint8Array, start: number, end: number): ReadFault | null {
    if (!this.#isText(bytes, start, end)) {
      return { kind: 'invalid-encoding', message: 'the record is not valid UTF-8' };
    }
    this.#cursor.reset(bytes, start, end);
    this.#tree.beginRecord();
    this.tape.count = 0;
    try {
      this.#record();
      return null;
    } catch (error) {
      if (error instanceof JsonFault) return { kind: error.kind, message: error.message };
      throw error;
    }
  }

  /** Most blocks are ASCII throughout: looked at once for all their records. */
  #isText(bytes: Uint8Array, start: number, end: number): boolean {
    if (this.#ascii?.bytes !== bytes) this.#ascii = { bytes, is: isAscii(bytes) };
    return this.#ascii.is || isUtf8(bytes.subarray(start, end));
  }

  #record(): void {
    const cursor = this.#cursor;
    if (cursor.peek() === 0x7b) this.#object(rootNode, 1);
    else {
      const node = this.#tree.child(rootNode, valueField, { previous: -1, bytes: null });
      this.#value(node, 0);
    }
    if (cursor.peek() !== -1) throw invalid('something follows behind the record');
  }

  #object(parent: number, depth: number): void {
    const cursor = this.#cursor;
    assertDepth(depth, this.#maxDepth);
    cursor.at += 1;
    if (cursor.peek() === 0x7d) return void (cursor.at += 1);
    let previous = -1;
    for (;;) {
      const node = this.#key(parent, previous);
      if (!this.#tree.see(node)) throw invalid('a key stands twice in one object');
      this.#value(node, depth);
      previous = node;
      const byte = cursor.peek();
      cursor.at += 1;
      if (byte === 0x7d) return;
      if (byte !== 0x2c) throw invalid('an object lacks a comma or its end');
      cursor.peek();
    }
  }

  #key(parent: number, previous: number): number {
    const cursor = this.#cursor;
    const { bytes, at } = cursor;
    if (at >= cursor.end || bytes[at] !== quote) throw invalid('a key in quotes is expected');
    const node = this.#tree.predict(parent, previous);
    const length = node < 0 ? -1 : this.#matches(node, at + 1);
    cursor.at = at + 1;
    if (length >= 0) {
      cursor.at = at + length + 2;
      cursor.colon();
      return node;
    }
    return this.#findKey(parent, previous, at + 1);
  }

  /** Length of the node's key if exactly it stands at a place, with its closing quote; else -1. */
  #matches(node: number, at: number): number {
    const key = this.#tree.keyBytes(node);
    if (key === null || at + key.length >= this.#cursor.end) return -1;
    const { bytes } = this.#cursor;
    for (let n = 0; n < key.length; n += 1) if (bytes[at + n] !== key[n]) return -1;
    return bytes[at + key.length] === quote ? key.length : -1;
  }

  #findKey(parent: number, previous: number, start: number): number {
    const cursor = this.#cursor;
    const stop = cursor.string();
    const { escaped } = cursor;
    const key = cursor.decode(start, stop, escaped);
    if (escaped) assertStorable(key);
    cursor.colon();
    const bytes = escaped ? null : cursor.bytes.slice(start, stop);
    return this.#tree.child(parent, key, { previous, bytes });
  }

  #value(node: number, depth: number): void {
    const cursor = this.#cursor;
    const byte = cursor.peek();
    const start = cursor.at;
    if (byte === quote) {
      cursor.at = start + 1;
      const stop = cursor.string();
      this.tape.push(node, cursor.escaped ? token.escaped : token.string, start + 1, stop);
    } else if (byte === 0x7b) this.#nested(node, depth);
    else if (byte === 0x5b) {
      cursor.skipValue(depth, this.#maxDepth);
      this.tape.push(node, token.array, start, cursor.at);
    } else {
      cursor.skipScalar(byte);
      this.tape.push(node, scalarToken(byte), start, cursor.at);
    }
  }

  #nested(node: number, depth: number): void {
    const start = this.#cursor.at;
    if (depth >= flattenDepth) {
      this.#cursor.skipValue(depth, this.#maxDepth);
      this.tape.push(node, token.deepObject, start, this.#cursor.at);
      return;
    }
    const entry = this.tape.push(node, token.object, start, start);
    this.#object(node, depth + 1);
    this.tape.ends[entry] = this.#cursor.at;
  }
}

function scalarToken(byte: number) {
  if (byte === 0x74) return token.true;
  if (byte === 0x66) return token.false;
  return byte === 0x6e ? token.null : token.number;
}

/** A field's name ends up in mappings and failure records: it has to be text that can be stored. */
function assertStorable(key: string): void {
  if (!key.includes('\0') && key.isWellFormed()) return;
  throw new JsonFault(
    'unrepresentable',
    'the name of a field holds NUL or half a surrogate pair, which cannot be stored',
  );
}
