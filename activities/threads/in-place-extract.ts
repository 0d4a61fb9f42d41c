import { createHash } from 'node:crypto';
import { PipelineError } from '../../core/errors.ts';
import type { IntakeReader } from '../../core/intake.ts';
import type { PositionRange } from '../../core/positions.ts';
import { defaultRecordLimits, type RecordBlock } from '../../core/records.ts';
import type { StagedFile } from '../../core/staging.ts';
import { IntakeSource, intakeLane } from '../../connectors/kit/intake-source.ts';
import { encodeFrame } from '../../formats/frames.ts';
import type { StagedStream } from './staged-stream.ts';

/**
 * Chunks of the intake are durable and never change: they are the extract of their batch, and are
 * not staged a second time. Its manifest names no file, only the hash of what was read.
 */
export function isInPlace({ name }: StagedFile): boolean {
  return name === '';
}

/** In place of a staged file: takes the hash of what would stand in it. */
export function createDigestStream(): StagedStream {
  const hash = createHash('sha256');
  let bytes = 0;
  return {
    async write(chunk) {
      hash.update(chunk);
      bytes += chunk.byteLength;
    },
    close: async () => ({ name: '', bytes, sha256: hash.digest('hex') }),
    abort: () => undefined,
  };
}

export interface InPlaceExtract {
  readonly source: string;
  readonly range: PositionRange;
  /** Of the first complete reading. */
  readonly sha256: string;
}

/**
 * Reads the extract again where it is. What comes before the end counts only when the end is reached.
 * @throws PipelineError `extract-lost` when it is gone or not what was read first
 */
export async function* readInPlace(
  { source, range, sha256 }: InPlaceExtract,
  reader: IntakeReader,
  signal: AbortSignal,
): AsyncIterable<RecordBlock> {
  const hash = createHash('sha256');
  const lane = { name: intakeLane, memo: '' };
  const context = { signal, limits: defaultRecordLimits, lane };
  for await (const block of new IntakeSource(source, reader).read(range, context)) {
    for (const piece of encodeFrame(block)) hash.update(piece);
    yield block;
  }
  if (hash.digest('hex') === sha256) return;
  throw new PipelineError('extract-lost', `the intake of ${source} no longer holds what was read`);
}
