import { invalid, JsonFault } from './json-fault.ts';

const quote = 0x22;
const backslash = 0x5c;
const firstPrintable = 0x20;
const deepestPassed = 1_000_000;
const escapable = new Set(Buffer.from('"\\/bfnrt'));

/** Reads JSON tokens from bytes, strictly as RFC 8259 has them. Throws `JsonFault`. */
export class JsonCursor {
  bytes: Uint8Array = new Uint8Array(0);
  at = 0;
  end = 0;
  /** The string that was read last holds escapes. */
  escaped = false;
  /** How deep the values lay that were passed since this was set to 0. */
  deepest = 0;

  reset(bytes: Uint8Array, at: number, end: number): void {
    this.bytes = bytes;
    this.at = at;
    this.end = end;
  }

  /** Skips white space; the byte that follows, or -1 at the end. */
  peek(): number {
    const { bytes, end } = this;
    let { at } = this;
    while (at < end) {
      const byte = bytes[at] as number;
      if (byte > 0x20 || (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09)) {
        this.at = at;
        return byte;
      }
      at += 1;
    }
    this.at = at;
    return -1;
  }

  /** From behind the opening quote to behind the closing one; returns where the text ends. */
  string(): number {
    const { bytes, end } = this;
    let { at } = this;
    this.escaped = false;
    while (at < end) {
      const byte = bytes[at] as number;
      if (byte === quote) {
        this.at = at + 1;
        return at;
      }
      if (byte === backslash) at = this.#escape(at);
      else if (byte < firstPrintable) throw invalid('a control character stands in a string');
      else at += 1;
    }
    throw invalid('a string does not end');
  }

  /** Number as the grammar has it; leaves the cursor behind it. */
  number(): void {
    if (this.bytes[this.at] === 0x2d) this.at += 1;
    if (this.#byte() === 0x30) this.at += 1;
    else this.#digits('a number has no digits');
    if (this.#byte() === 0x2e) {
      this.at += 1;
      this.#digits('a number has no digits behind its point');
    }
    if ((this.#byte() | 0x20) === 0x65) this.#exponent();
  }

  /** `true`, `false`, `null`. */
  literal(text: string): void {
    for (let n = 0; n < text.length; n += 1, this.at += 1) {
      if (this.#byte() !== text.charCodeAt(n))
        throw invalid('a word is neither true, false nor null');
    }
  }

  /** A value of any kind that nobody looks into; still checked in full. */
  skipValue(depth: number, maxDepth: number): void {
    const byte = this.peek();
    if (byte === 0x7b) this.#skipObject(depth + 1, maxDepth);
    else if (byte === 0x5b) this.#skipArray(depth + 1, maxDepth);
    else this.skipScalar(byte);
  }

  /**
   * A value of any depth of which only the grammar is checked: what it holds is looked at when it
   * is read as a record. Without recursion, so that no depth can exhaust the stack.
   */
  passValue(): void {
    const closers: number[] = [];
    do {
      const closer = this.#enter(closers.length + 1);
      if (closer > 0) closers.push(closer);
      else this.#leave(closers);
      if (closers.length > deepestPassed) throw invalid('the document is nested too deeply');
    } while (closers.length > 0);
  }

  skipScalar(byte: number): void {
    if (byte === quote) {
      this.at += 1;
      this.string();
    } else if (byte === 0x2d || (byte >= 0x30 && byte <= 0x39)) this.number();
    else if (byte === 0x74) this.literal('true');
    else if (byte === 0x66) this.literal('false');
    else if (byte === 0x6e) this.literal('null');
    else throw invalid(byte < 0 ? 'the record ends too early' : 'a value is expected');
  }

  /** Text between two places as JavaScript has it. */
  decode(start: number, stop: number, escaped: boolean): string {
    const text = Buffer.from(this.bytes.buffer, this.bytes.byteOffset + start, stop - start);
    if (!escaped) return text.toString('utf8');
    return JSON.parse(`"${text.toString('utf8')}"`) as string;
  }

  /** Passes a scalar or an empty container (0), or goes into a container: the byte that ends it. */
  #enter(depth: number): number {
    const byte = this.peek();
    if (byte !== 0x7b && byte !== 0x5b) {
      this.skipScalar(byte);
      return 0;
    }
    if (depth > this.deepest) this.deepest = depth;
    const closer = byte + 2;
    this.at += 1;
    if (this.peek() !== closer) {
      if (closer === 0x7d) this.#passKey();
      return closer;
    }
    this.at += 1;
    return 0;
  }

  /** Behind a value: on to the next one, or out of the containers that end here. */
  #leave(closers: number[]): void {
    for (let closer = closers.at(-1); closer !== undefined; closer = closers.at(-1)) {
      const byte = this.peek();
      this.at += 1;
      if (byte === 0x2c) return closer === 0x7d ? this.#passKey() : undefined;
      if (byte !== closer) throw invalid('a container lacks a comma or its end');
      closers.pop();
    }
  }

  #passKey(): void {
    if (this.peek() !== quote) throw invalid('a key in quotes is expected');
    this.at += 1;
    this.string();
    this.colon();
  }

  #skipArray(depth: number, maxDepth: number): void {
    assertDepth(depth, maxDepth);
    this.at += 1;
    if (this.peek() === 0x5d) return void (this.at += 1);
    for (;;) {
      this.skipValue(depth, maxDepth);
      const byte = this.peek();
      this.at += 1;
      if (byte === 0x5d) return;
      if (byte !== 0x2c) throw invalid('an array lacks a comma or its end');
    }
  }

  #skipObject(depth: number, maxDepth: number): void {
    assertDepth(depth, maxDepth);
    this.at += 1;
    if (this.peek() === 0x7d) return void (this.at += 1);
    const keys = new Set<string>();
    for (;;) {
      const key = this.key();
      if (keys.has(key)) throw invalid('a key stands twice in one object');
      keys.add(key);
      this.skipValue(depth, maxDepth);
      const byte = this.peek();
      this.at += 1;
      if (byte === 0x7d) return;
      if (byte !== 0x2c) throw invalid('an object lacks a comma or its end');
    }
  }

  /** A key and its colon; any white space before and between. */
  key(): string {
    if (this.peek() !== quote) throw invalid('a key in quotes is expected');
    const start = (this.at += 1);
    const stop = this.string();
    const key = this.decode(start, stop, this.escaped);
    this.colon();
    return key;
  }

  colon(): void {
    if (this.peek() !== 0x3a) throw invalid('a colon is expected behind a key');
    this.at += 1;
  }

  #byte(): number {
    return this.at < this.end ? (this.bytes[this.at] as number) : -1;
  }

  #digits(fault: string): void {
    const { bytes, end } = this;
    const start = this.at;
    let at = start;
    while (at < end && (bytes[at] as number) >= 0x30 && (bytes[at] as number) <= 0x39) at += 1;
    if (at === start) throw invalid(fault);
    this.at = at;
  }

  #exponent(): void {
    this.at += 1;
    const sign = this.#byte();
    if (sign === 0x2b || sign === 0x2d) this.at += 1;
    this.#digits('a number has no digits in its exponent');
  }

  /** Checks the escape at a backslash; returns the place behind it. */
  #escape(at: number): number {
    this.escaped = true;
    const byte = at + 1 < this.end ? (this.bytes[at + 1] as number) : -1;
    if (escapable.has(byte)) return at + 2;
    if (byte !== 0x75 || at + 6 > this.end) throw invalid('a string holds an unknown escape');
    for (let n = at + 2; n < at + 6; n += 1) {
      if (!isHexDigit(this.bytes[n] as number)) throw invalid('a string holds an unknown escape');
    }
    return at + 6;
  }
}

export function assertDepth(depth: number, maxDepth: number): void {
  if (depth > maxDepth) {
    throw new JsonFault('too-deep', `the record is nested deeper than ${maxDepth} levels`);
  }
}

function isHexDigit(byte: number): boolean {
  const lower = byte | 0x20;
  return (byte >= 0x30 && byte <= 0x39) || (lower >= 0x61 && lower <= 0x66);
}
