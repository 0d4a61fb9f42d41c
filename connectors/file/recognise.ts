import { createHash } from 'node:crypto';
import { readAll, type Content } from './content.ts';
import type { FoundFile } from './find-files.ts';
import type { FileMemo } from './memo.ts';

const sampleBytes = 4096;

export function hashBytes(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Hashes by which a file that was read up to `head` is known again. */
type Samples = Pick<FileMemo, 'prefix' | 'tail'>;

/** Nothing at all has changed since then. */
export function isUntouched(
  file: FoundFile,
  before: Pick<FileMemo, 'size' | 'mtimeMs' | 'inode'>,
): boolean {
  const { size, mtimeMs, inode } = before;
  return file.size === size && file.mtimeMs === mtimeMs && file.inode === inode;
}

/** Of a file as it is, where so much of it was read. */
export async function samplesAt(file: Content, head: number): Promise<Samples> {
  const first = await readAll(file, { to: Math.min(sampleBytes, head) });
  const before = await readAll(file, { from: Math.max(0, head - sampleBytes), to: head });
  return { prefix: hashBytes(first), tail: hashBytes(before) };
}

/** The file still begins with what was read of it: it is the same, perhaps grown. */
export async function continues(file: FoundFile, memo: FileMemo): Promise<boolean> {
  if (memo.head === 0) return true;
  if (file.fault) throw file.fault;
  if (memo.document !== undefined) {
    return isUntouched(file, memo) || (await hashDocument(file, memo.head)) === memo.document;
  }
  return (await PassingSample.begin(file, memo)) !== null;
}

/** Hash of a document, or null when it is longer than it was. */
async function hashDocument(file: Content, length: number): Promise<string | null> {
  const bytes = await readAll(file, { to: length + 1 });
  return bytes.length === length ? hashBytes(bytes) : null;
}

/**
 * Samples a file while it is cut: of the very bytes that pass by, so that a file that is rewritten
 * at this moment never matches its memo.
 */
export class PassingSample {
  /** The first bytes of the file, up to a sample. */
  #prefix: Uint8Array;
  /** What stands before the next chunk, and before the end of the last record; up to a sample. */
  #passed: Uint8Array;
  #last: Uint8Array;
  #offset: number;

  private constructor(offset: number, prefix: Uint8Array, passed: Uint8Array) {
    this.#offset = offset;
    this.#prefix = prefix;
    this.#passed = passed;
    this.#last = passed;
  }

  /** Begins behind what the memo knows. Null: the file is not the one that was read so far. */
  static async begin(file: Content, { head, prefix, tail }: FileMemo) {
    const first = await readAll(file, { to: Math.min(sampleBytes, head) });
    const before = await readAll(file, { from: Math.max(0, head - sampleBytes), to: head });
    const same = head === 0 || (hashBytes(first) === prefix && hashBytes(before) === tail);
    return same ? new PassingSample(head, first, before) : null;
  }

  /** The next chunk; `end`: where in the file the last record so far ends. */
  take(chunk: Uint8Array, end: number): void {
    const missing = sampleBytes - this.#prefix.length;
    if (missing > 0) this.#prefix = Buffer.concat([this.#prefix, chunk.subarray(0, missing)]);
    const at = end - this.#offset;
    if (at > 0) this.#last = this.#before(chunk, at);
    this.#passed = this.#before(chunk, chunk.length);
    this.#offset += chunk.length;
  }

  /** All that passed belongs to records. */
  takeTail(): void {
    this.#last = this.#passed;
  }

  at(head: number): Samples {
    return { prefix: hashBytes(this.#prefix.subarray(0, head)), tail: hashBytes(this.#last) };
  }

  /** A sample of what stands before a place of the chunk. */
  #before(chunk: Uint8Array, at: number): Uint8Array {
    if (at >= sampleBytes) return chunk.slice(at - sampleBytes, at);
    const bytes = Buffer.concat([this.#passed, chunk.subarray(0, at)]);
    return bytes.subarray(Math.max(0, bytes.length - sampleBytes));
  }
}
