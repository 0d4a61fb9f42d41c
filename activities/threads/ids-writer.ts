import { hash } from 'node:crypto';
import type { RowEncoding } from '../../core/mapping.ts';
import { eventIdOf, recordBytes, recordCount, type RecordBlock } from '../../core/records.ts';
import type { StagedFile } from '../../core/staging.ts';
import type { StagedStream } from './staged-stream.ts';

/** Stages the id and hash of every event of a batch. See `EncodedIds`. */
export class IdsWriter {
  readonly #stream: StagedStream;
  readonly #encoding: RowEncoding;
  #events = 0;

  constructor(stream: StagedStream, encoding: RowEncoding) {
    this.#stream = stream;
    this.#encoding = encoding;
  }

  async write(block: RecordBlock): Promise<void> {
    const rows = encodeIds(block, this.#events, this.#encoding);
    this.#events += recordCount(block);
    if (rows.length > 0) await this.#stream.write(rows);
  }

  close(): Promise<StagedFile> {
    return this.#stream.close();
  }

  abort(reason: unknown): void {
    this.#stream.abort(reason);
  }
}

/** Rows of `EncodedIds`; the first event of the block has the ordinal `first`. */
export function encodeIds(block: RecordBlock, first: number, encoding: RowEncoding): Uint8Array {
  const { separator, terminator } = encoding;
  let text = '';
  for (let index = 0; index < recordCount(block); index += 1) {
    const sha256 = hash('sha256', recordBytes(block, index), 'hex');
    const id = encoding.escape(eventIdOf(block, index));
    text += [id, sha256, String(first + index)].join(separator) + terminator;
  }
  return Buffer.from(text);
}
