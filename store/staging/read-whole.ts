import { createHash } from 'node:crypto';
import { PipelineError } from '../../core/errors.ts';
import type { StagedFile, Staging } from '../../core/staging.ts';

/**
 * All of a staged file, as it was written: what comes before the end counts only when the end is
 * reached.
 * @throws PipelineError `extract-lost` when the file is gone or its bytes are not those written.
 */
export async function* readWhole(
  staging: Staging,
  { name, bytes, sha256 }: StagedFile,
): AsyncIterable<Uint8Array> {
  const hash = createHash('sha256');
  let read = 0;
  for await (const chunk of staging.get(name)) {
    hash.update(chunk);
    read += chunk.byteLength;
    yield chunk;
  }
  if (read === bytes && hash.digest('hex') === sha256) return;
  throw new PipelineError('extract-lost', `staged file ${name} is damaged`);
}
