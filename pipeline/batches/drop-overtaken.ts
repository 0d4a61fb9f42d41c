import type { LoadTransaction } from '../../core/destination.ts';
import type { Position } from '../../core/positions.ts';
import type { Generations, LoadPart } from './batch-to-load.ts';
import type { FreshBatch } from './drop-resent.ts';
import { withoutOrdinals } from './without-ordinals.ts';

export interface CurrentBatch extends Omit<FreshBatch, 'generations'> {
  readonly superseded: number;
}

/**
 * Leaves out rows of `replace` tables that belong to an older refresh than the one that is loaded,
 * and makes room for the rows of a newer one.
 */
export async function dropOvertaken(
  transaction: LoadTransaction,
  { generations, ...batch }: FreshBatch,
): Promise<CurrentBatch> {
  if (generations === null) return { ...batch, superseded: 0 };
  const newest = await transaction.newestLoaded(generations.lane);
  const parts: LoadPart[] = [];
  for (const part of batch.parts) {
    if (!part.rows.mapping.replace) parts.push(part);
    else parts.push(await makeRoom(transaction, part, { generations, newest }));
  }
  return { ...batch, parts, superseded: countRows(batch.parts) - countRows(parts) };
}

async function makeRoom(
  transaction: LoadTransaction,
  part: LoadPart,
  { generations, newest }: { generations: Generations; newest: Position | null },
): Promise<LoadPart> {
  const overtaken = new Set<number>();
  for (const ordinal of part.ordinals) {
    if (newest !== null && generations.of(ordinal) < newest) overtaken.add(ordinal);
  }
  // Its end is the same for all events, and known without any: a refresh may have no rows.
  const stands = generations.whole && (newest === null || generations.of(0) > newest);
  if (stands) await transaction.clear(part.rows.mapping.table);
  return withoutOrdinals(part, overtaken);
}

function countRows(parts: readonly LoadPart[]): number {
  return parts.reduce((sum, { rows }) => sum + rows.rowCount, 0);
}
