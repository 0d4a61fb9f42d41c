import { destinationModule } from '../connectors/registry.ts';
import type { EncodedIds } from '../core/destination.ts';
import { PipelineError } from '../core/errors.ts';
import type { RowEncoding } from '../core/mapping.ts';
import { recordCount, type RecordBlock } from '../core/records.ts';
import { findPreceded } from '../pipeline/batches/find-preceded.ts';
import { readBatch, type BatchRow } from '../store/catalog/batches.ts';
import { listEarlier, listExtracted, type EarlierBatch } from '../store/catalog/earlier-batches.ts';
import { readManifest, type Manifest } from '../store/catalog/extracts.ts';
import type { DeliveryInput } from './contract.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { openIds, readLoadFiles } from './load-files.ts';
import { openExtract } from './open-extract.ts';
import { encodeIds } from './threads/ids-writer.ts';
import { unlessLost } from './unless-lost.ts';

/**
 * Batches of one lane load side by side, and still the event that was received first keeps its id
 * (DESIGN §6): which events of this batch stand behind one of an earlier batch that this
 * destination may not have yet. Whether those load meanwhile changes nothing: they take their ids
 * then, and the answer is the same.
 * @throws PipelineError `earlier-batch-first` while nobody knows which events an earlier one has
 */
export async function precededEvents(
  dependencies: ActivityDependencies,
  batch: BatchRow,
  { destination, ids }: { readonly destination: string; readonly ids: EncodedIds | null },
): Promise<readonly number[]> {
  // A backfill reads what is settled, all before it too.
  if (ids === null || batch.run.startsWith('backfill/')) return [];
  const open = await openBefore(dependencies, batch, destination);
  if (open.length === 0) return [];
  const { encoding } = await destinationModule(await dependencies.destinations.typeOf(destination));
  const earlier = open.map(({ batchId }): EncodedIds => ({
    async *read() {
      yield* await collectIds(dependencies, { batchId, destination }, encoding);
    },
  }));
  return findPreceded(ids, earlier, encoding);
}

/** Failed events that come again were received at any time: behind all of them to be sure. */
async function openBefore(
  { catalog }: ActivityDependencies,
  batch: BatchRow,
  destination: string,
): Promise<readonly EarlierBatch[]> {
  if (batch.run !== 'live') return listExtracted(catalog, { source: batch.source, destination });
  const earlier = await listEarlier(catalog, batch, destination);
  const unknown = earlier.find(({ isExtracted }) => !isExtracted);
  if (!unknown) return earlier;
  throw new PipelineError(
    'earlier-batch-first',
    `waits for ${unknown.batchId}: an event of it may have an id that this batch has too`,
  );
}

/**
 * The ids of a batch, whole; from its records where they were not staged while it was extracted.
 * Nothing where the records are lost too: then it cannot load.
 */
async function collectIds(
  dependencies: ActivityDependencies,
  { batchId, destination }: DeliveryInput,
  encoding: RowEncoding,
): Promise<readonly Uint8Array[]> {
  const manifest = await readManifest(dependencies.catalog, batchId);
  if (manifest === null) return [];
  const { batch } = await readBatch(dependencies.catalog, batchId);
  const staged = await unlessLost(() => stagedIds(dependencies, manifest, destination));
  const extract = () => openExtract(dependencies, batch, manifest);
  return staged ?? (await unlessLost(() => extractedIds(extract(), encoding))) ?? [];
}

async function stagedIds(
  { staging }: ActivityDependencies,
  { premapped }: Manifest,
  destination: string,
): Promise<readonly Uint8Array[] | null> {
  const made = premapped.find((target) => target.destination === destination);
  if (!made) return null;
  const { idsFile } = await readLoadFiles(staging, made.loadManifest);
  return idsFile && Array.fromAsync(openIds(staging, idsFile).read());
}

async function extractedIds(
  extract: AsyncIterable<RecordBlock>,
  encoding: RowEncoding,
): Promise<readonly Uint8Array[]> {
  const chunks: Uint8Array[] = [];
  let first = 0;
  for await (const block of extract) {
    chunks.push(encodeIds(block, first, encoding));
    first += recordCount(block);
  }
  return chunks;
}
