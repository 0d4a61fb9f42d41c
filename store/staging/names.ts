import { createHash } from 'node:crypto';

/** Folder of a batch in staging: a hash, so that any lane name is safe there. */
export function stagingKey(batchId: string): string {
  return createHash('sha256').update(batchId).digest('hex').slice(0, 32);
}
