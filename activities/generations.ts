import type { Generations, LoadPart } from '../pipeline/batches/batch-to-load.ts';
import type { BatchRow } from '../store/catalog/batches.ts';
import type { Queryable } from '../store/catalog/catalog.ts';
import { restreamOrigins } from '../store/catalog/restreams.ts';

/** Which full refresh the events of a batch belong to, where their tables are replaced by one. */
export async function readGenerations(
  catalog: Queryable,
  batch: BatchRow,
  parts: readonly LoadPart[],
): Promise<Generations | null> {
  if (!parts.some(({ rows }) => rows.mapping.replace)) return null;
  const { run, lane, from, to } = batch;
  if (!run.startsWith('restream/')) return { lane, of: () => to, whole: true };
  const restreamId = run.slice('restream/'.length);
  const origins = await restreamOrigins(catalog, {
    restreamId,
    from: Number(from),
    to: Number(to),
  });
  const ends = new Map(origins.map(({ ordinal, end }) => [ordinal - Number(from), end]));
  // Events of one stream come from one lane: its table. A batch that is forgotten is old.
  return { lane: origins[0]?.lane ?? '', of: (ordinal) => ends.get(ordinal) ?? '', whole: false };
}
