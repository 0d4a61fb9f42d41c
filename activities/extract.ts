import { isPipelineError } from '../core/errors.ts';
import {
  readBatch,
  markBatchLost,
  type BatchRow,
  type DeliveryRow,
} from '../store/catalog/batches.ts';
import { readManifest, type Manifest } from '../store/catalog/extracts.ts';
import { roadOf } from './choose-road.ts';
import type { Activities, BatchInput, ExtractResult } from './contract.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { extractBatch } from './extract-batch.ts';

export function createExtract(dependencies: ActivityDependencies): Activities['extract'] {
  const { catalog } = dependencies;
  return async function extract({ batchId }: BatchInput): Promise<ExtractResult> {
    const { batch, deliveries } = await readBatch(catalog, batchId);
    const found = await readManifest(catalog, batchId);
    if (found) return describe(batch, found, deliveries);
    if ((await roadOf(dependencies, batch, deliveries)) === 'typed') {
      return { ...ofTypedRoad(batch), destinations: pendingOf(deliveries), source: batch.source };
    }
    const manifest = await extractOrLose(dependencies, batch, deliveries);
    if (manifest === null) return { ...nothing, source: batch.source };
    // As they stand now: another attempt may have found the range gone, or been first.
    return describe(batch, manifest, (await readBatch(catalog, batchId)).deliveries);
  };
}

const nothing = { outcome: 'lost', events: 0, bytes: 0, streams: [], destinations: [] } as const;

/** Null: the range is gone, and no other attempt read it before. */
async function extractOrLose(
  dependencies: ActivityDependencies,
  batch: BatchRow,
  deliveries: readonly DeliveryRow[],
): Promise<Manifest | null> {
  const { catalog } = dependencies;
  const { batchId } = batch;
  try {
    return await extractBatch(dependencies, batch, deliveries, 1);
  } catch (error) {
    if (!isPipelineError(error, 'extract-lost')) throw error;
    await markBatchLost(catalog, { batchId, message: error.message });
    return readManifest(catalog, batchId);
  }
}

function describe(
  batch: BatchRow,
  manifest: Manifest,
  deliveries: readonly DeliveryRow[],
): ExtractResult {
  return {
    outcome: 'extracted',
    events: manifest.events,
    bytes: manifest.eventBytes,
    streams: manifest.profile.slice(0, 5).map(({ stream }) => stream),
    destinations: pendingOf(deliveries),
    source: batch.source,
  };
}

function pendingOf(deliveries: readonly DeliveryRow[]): readonly string[] {
  return deliveries
    .filter(({ state }) => state === 'pending')
    .map(({ destination }) => destination);
}

/** How many events it has shows when they are loaded. */
function ofTypedRoad({ stream, plannedBytes }: BatchRow) {
  const streams = stream === null ? [] : [stream];
  return { outcome: 'extracted', road: 'typed', events: 0, bytes: plannedBytes, streams } as const;
}
