import type { LoadTransaction } from '../../core/destination.ts';
import type { EventFailure } from '../../core/failed-events.ts';
import type { BatchToLoad, LoadCallbacks } from './batch-to-load.ts';
import { withoutOrdinals } from './without-ordinals.ts';

/** A batch without the events that came before. */
export interface FreshBatch extends Omit<BatchToLoad, 'eventIds' | 'preceded'> {
  readonly duplicates: number;
  /** Ordinals of events whose ids others have. */
  readonly conflicts: ReadonlySet<number>;
}

/**
 * Leaves out the events whose ids are taken: the same bytes are a duplicate, whatever became of the
 * first; other bytes are parked as `id-conflict`, unless mapping parked them already. Those too are
 * duplicates when they come once more: there is one record of them.
 */
export async function dropResent(
  transaction: LoadTransaction,
  { eventIds, preceded = [], ...batch }: BatchToLoad,
  callbacks: LoadCallbacks,
): Promise<FreshBatch> {
  if (eventIds === null) return { ...batch, duplicates: 0, conflicts: new Set() };
  const taken = await transaction.takeIds(eventIds, preceded);
  const { duplicates, conflicts } = taken;
  if (duplicates.length + conflicts.length === 0) {
    return { ...batch, duplicates: 0, conflicts: new Set() };
  }
  const resent = new Set(duplicates);
  const before = batch.failuresBefore.filter(({ ordinal }) => !resent.has(ordinal));
  const gone = batch.failuresBefore.filter(({ ordinal }) => resent.has(ordinal));
  if (gone.length > 0) await callbacks.onResentFailures(gone.map(({ ordinal }) => ordinal));
  const parked = new Set(before.map(({ ordinal }) => ordinal));
  const failures = conflicts.filter((ordinal) => !parked.has(ordinal)).map(toConflict);
  if (failures.length > 0) await callbacks.onRefused(failures);
  const excluded = new Set([...duplicates, ...conflicts]);
  return {
    ...batch,
    parts: batch.parts.map((part) => withoutOrdinals(part, excluded)),
    failuresBefore: [...before, ...failures],
    duplicates: duplicates.length,
    conflicts: new Set(conflicts),
  };
}

function toConflict(ordinal: number): EventFailure {
  return {
    ordinal,
    child: 0,
    stage: 'load',
    kind: 'id-conflict',
    message: 'another event has this id and other content; that one stays',
  };
}
