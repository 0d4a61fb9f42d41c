import type { EncodedRows, LoadTransaction } from '../../core/destination.ts';
import type { BatchToLoad, LoadCallbacks } from './batch-to-load.ts';

export interface FailedPlace {
  readonly ordinal: number;
  readonly child: number;
}

export interface StillFailed {
  readonly failed: readonly FailedPlace[];
  readonly duplicates: number;
  readonly superseded: number;
}

/**
 * Of events that come again and fail now, some were loaded long ago, when the mapping still took
 * them: those are not failed (an event is in one place). Asked last in the transaction, so that the
 * answer does not depend on how the rows of the batch were cut.
 * @param others ordinals of events that share their id with one that stands: they stay failed
 */
export async function withoutStanding(
  transaction: LoadTransaction,
  {
    mark,
    failed,
    others,
  }: Pick<BatchToLoad, 'mark'> & {
    readonly failed: readonly FailedPlace[];
    readonly others: ReadonlySet<number>;
  },
  { onResentFailures }: Pick<LoadCallbacks, 'onResentFailures'>,
): Promise<StillFailed> {
  const asked = new Set(failed.map(({ ordinal }) => ordinal).filter((at) => !others.has(at)));
  if (!mark || asked.size === 0) return { failed, duplicates: 0, superseded: 0 };
  const [own, keys] = [new Set<number>(), new Set<number>()];
  for (const { rows, ordinals } of await mark(asked)) {
    const found = rows.mapping.merge ? keys : own;
    for (const id of await findIn(transaction, rows, { from: 0, to: rows.rowCount })) {
      for (const ordinal of ordinals.get(id) ?? []) found.add(ordinal);
    }
  }
  const standing = own.union(keys);
  if (standing.size > 0) await onResentFailures([...standing]);
  return {
    failed: failed.filter(({ ordinal }) => !standing.has(ordinal)),
    duplicates: own.size,
    superseded: standing.size - own.size,
  };
}

/** A row that the destination refuses even so is passed over: parts are halved until it is alone. */
async function findIn(
  transaction: LoadTransaction,
  rows: EncodedRows,
  { from, to }: { readonly from: number; readonly to: number },
): Promise<readonly string[]> {
  if (from === to) return [];
  const found = await transaction.findStanding(rows, from, to);
  if (found !== null) return found;
  if (to - from === 1) return [];
  const middle = (from + to) >> 1;
  const before = await findIn(transaction, rows, { from, to: middle });
  return [...before, ...(await findIn(transaction, rows, { from: middle, to }))];
}
