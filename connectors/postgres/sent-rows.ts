import type { CopiedRows } from '../../core/destination.ts';
import { PipelineError } from '../../core/errors.ts';

export interface SentRows {
  read(): AsyncIterable<Uint8Array>;
  /** @throws PipelineError `source-unavailable` where others than these arrived */
  assertAll(received: number): void;
}

/** Rows of a source, with what it says of their number at their end. */
export function countRows(rows: Pick<CopiedRows, 'read'>): SentRows {
  let sent: number | undefined;
  return {
    async *read() {
      sent = yield* rows.read();
    },
    assertAll(received) {
      if (received === sent) return;
      throw new PipelineError(
        'source-unavailable',
        `the source sent ${sent ?? 'not all of its'} rows, ${received} arrived: they are read again`,
      );
    },
  };
}
