import type { PlanLimits } from '../../core/source.ts';

/** A stream without columns begins with a small batch: it fixes the types, the others wait for it. */
const firstBatchBytes = 8 * 1024 * 1024;
/** Ranges cut for one lane in one go; the next call goes on. */
const maxRanges = 16;
/** DESIGN §17: rows that nobody parses come in larger batches, however many they are. */
const typedFactor = 4;

export interface LaneFacts {
  /** All of the lane belongs to one stream. */
  readonly hasStream: boolean;
  /** Its batches begin on the typed road: types are declared, no record is held in memory. */
  readonly isTyped: boolean;
  /** Whether its stream has columns in some destination. Asked only where that matters. */
  readonly isMapped: () => Promise<boolean>;
}

/** How large the next batches of a lane may be, by what a batch may hold at most. */
export async function batchLimits(
  { hasStream, isTyped, isMapped }: LaneFacts,
  most: Pick<PlanLimits, 'maxBytes' | 'maxRecords'>,
): Promise<PlanLimits> {
  if (!hasStream) return { ...most, maxRanges };
  if (isTyped) {
    return {
      maxBytes: typedFactor * most.maxBytes,
      maxRecords: Number.MAX_SAFE_INTEGER,
      maxRanges,
    };
  }
  if (await isMapped()) return { ...most, maxRanges };
  return { ...most, maxBytes: Math.min(firstBatchBytes, most.maxBytes), maxRanges: 1 };
}
