import type { BatchToLoad } from './batch-to-load.ts';
import { withoutOrdinals } from './without-ordinals.ts';

/**
 * Leaves out the events that were discarded. Those that fail now are counted as failed, not as
 * discarded: their records are withdrawn on settling.
 */
export function dropDiscarded(batch: BatchToLoad): BatchToLoad {
  const { discarded = new Set<number>(), parts, failuresBefore } = batch;
  if (discarded.size === 0) return batch;
  const failed = new Set(failuresBefore.map(({ ordinal }) => ordinal));
  return {
    ...batch,
    parts: parts.map((part) => withoutOrdinals(part, discarded)),
    discarded: new Set([...discarded].filter((ordinal) => !failed.has(ordinal))),
  };
}
