import type { PlanLimits } from '../../core/source.ts';

/** A stream without columns begins with a small batch: it fixes the types, the others wait for it. */
const firstBatchBytes = 8 * 1024 * 1024;
/** Ranges cut for one lane in one go; the next call goes on. */
const maxRanges = 16;
/** DESIGN §17: rows that nobody parses come in larger batches, however many they are. */
const copiedFactor = 4;

export interface LaneFacts {
  /** Its stream has columns in some destination, or the lane has many streams. */
  readonly isMapped: boolean;
  /** Its batches begin on the typed road, as far as source, destination and the last batch say. */
  readonly mayCopy: boolean;
}

/** How large the next batches of a lane may be, by what a batch may hold at most. */
export function batchLimits(
  { isMapped, mayCopy }: LaneFacts,
  most: Pick<PlanLimits, 'maxBytes' | 'maxRecords'>,
): PlanLimits {
  const first = { ...most, maxBytes: Math.min(firstBatchBytes, most.maxBytes), maxRanges: 1 };
  const limits = isMapped ? { ...most, maxRanges } : first;
  if (!mayCopy) return limits;
  const maxBytes = copiedFactor * most.maxBytes;
  return { ...limits, copied: { maxBytes, maxRecords: Number.MAX_SAFE_INTEGER, maxRanges } };
}
