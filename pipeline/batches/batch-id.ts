import { createHash } from 'node:crypto';
import type { BatchRef, RunId } from '../../core/positions.ts';

const longest = 200;
const hashDigits = 32;

/**
 * The id of a batch: the same range of the same run always has the same one, on every machine.
 * `<run>/` stands before it unless the run is live; beyond 200 characters the middle is hashed.
 */
export function batchIdOf(batch: Omit<BatchRef, 'batchId'>): string {
  const { run, source, lane, from, to } = batch;
  const prefix = run === 'live' ? '' : `${run satisfies RunId}/`;
  const plain = `${prefix}${source}/${lane}/${from}..${to}`;
  if (plain.length <= longest) return plain;
  const hash = createHash('sha256').update(plain).digest('hex').slice(0, hashDigits);
  return `${prefix}${source}/${hash}`.slice(0, longest);
}
