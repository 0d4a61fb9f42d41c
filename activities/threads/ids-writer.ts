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
    const { separator, terminator } = this.#encoding;
    let text = '';
    for (let index = 0; index < recordCount(block); index += 1) {
      const sha256 = hash('sha256', recordBytes(block, index), 'hex');
      const id = this.#encoding.escape(eventIdOf(block, index));
      const cells = [id, sha256, String(this.#events + index)];
      text += cells.join(separator) + terminator;
    }
    this.#events += recordCount(block);
    if (text !== '') await this.#stream.write(Buffer.from(text));
  }

  close(): Promise<StagedFile> {
    return this.#stream.close();
  }

  abort(reason: unknown): void {
    this.#stream.abort(reason);
  }
}
