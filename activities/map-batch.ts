import { isPipelineError, must } from '../core/errors.ts';
import { failpoint } from '../core/failpoints.ts';
import { defaultRecordLimits } from '../core/records.ts';
import { readBatch, type BatchRow, type DeliveryRow } from '../store/catalog/batches.ts';
import { readManifest, type Manifest } from '../store/catalog/extracts.ts';
import { readMapping } from '../store/catalog/mappings.ts';
import { newAttempt, stagingPrefix } from './attempts.ts';
import type { Activities, MapResult } from './contract.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { extractBatch } from './extract-batch.ts';
import { readLoadFiles } from './load-files.ts';
import { mayResend } from './may-resend.ts';
import { extractInput } from './open-extract.ts';
import { settleIfComplete } from './settle-loaded.ts';
import { recordMapped } from './record-mapped.ts';
import { stopDelivery } from './stop-delivery.ts';
import { unlessLost } from './unless-lost.ts';
import { withDestination } from './with-destination.ts';

interface MapContext {
  readonly dependencies: ActivityDependencies;
  readonly batch: BatchRow;
  readonly deliveries: readonly DeliveryRow[];
  readonly delivery: DeliveryRow;
  readonly manifest: Manifest;
}

export function createMapBatch(dependencies: ActivityDependencies): Activities['mapBatch'] {
  const { catalog } = dependencies;
  return async function mapBatch({ batchId, destination, anew = false }): Promise<MapResult> {
    const { batch, deliveries } = await readBatch(catalog, batchId);
    const delivery = must(deliveries.find((row) => row.destination === destination));
    const manifest = await readManifest(catalog, batchId);
    if (!manifest || !delivery.pins) return { outcome: 'needs-staging', ...nothingMapped };
    const context = { dependencies, batch, deliveries, delivery, manifest };
    if (!anew) {
      const made = await unlessLost(() => madeWhileExtracting(context));
      if (made) return made;
    }
    return (await unlessLost(() => mapStaged(context))) ?? extractAgain(context);
  };
}

/** The load files that `extract` made, if the mapping it used is the one that got pinned. */
async function madeWhileExtracting(context: MapContext): Promise<MapResult | null> {
  const { manifest, delivery } = context;
  const pins = must(delivery.pins, 'the pinned mapping');
  const found = manifest.premapped.find(({ destination }) => destination === delivery.destination);
  if (!found || !samePins(found.versions, pins)) return null;
  const { attempt, loadManifest, rows, failures } = found;
  return finish(context, { mapAttempt: attempt, loadManifest, rows, failed: failures });
}

function samePins(a: Record<string, number>, b: Record<string, number>): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => a[name] === b[name]);
}

async function mapStaged(context: MapContext): Promise<MapResult> {
  const { batch, manifest, delivery } = context;
  const { catalog, configuration, destinations, threads, settings, signal } = context.dependencies;
  const { destination, pins } = delivery;
  const { batchId, source } = batch;
  const mapAttempt = newAttempt();
  const mappings = await Promise.all(
    Object.entries(pins ?? {}).map(([stream, version]) =>
      readMapping(catalog, { source, stream, destination, version }),
    ),
  );
  const destinationType = await destinations.typeOf(destination);
  const eventIds = await mayResend(configuration, source);
  const { targets } = await threads.run(
    {
      batchId,
      input: extractInput(batch, manifest),
      stagingRoot: settings.stagingRoot,
      prefix: stagingPrefix(batchId, mapAttempt),
      extract: false,
      targets: [{ destination, destinationType, mappings, eventIds, parksUnmapped: true }],
      limits: defaultRecordLimits,
    },
    signal(),
  );
  const { loadManifest, rows, failures } = must(targets[0], 'the mapped target');
  return finish(context, { mapAttempt, loadManifest, rows, failed: failures });
}

/**
 * The staged records are gone or damaged too. The ledger is asked before the source: perhaps only
 * settling was left. Where the source has lost them as well, the delivery stands still.
 */
async function extractAgain(context: MapContext): Promise<MapResult> {
  const { dependencies, batch, deliveries, delivery, manifest } = context;
  const at = { batchId: batch.batchId, destination: delivery.destination };
  const ledger = await withDestination(dependencies, at, ({ destination }) =>
    destination.readLedger([batch.batchId], dependencies.signal()),
  );
  if (ledger === null) return { outcome: 'waiting', ...nothingMapped };
  if (ledger[0] && (await settleIfComplete(dependencies, at, ledger[0]))) {
    return { outcome: 'settled', ...nothingMapped };
  }
  try {
    const next = await extractBatch(dependencies, batch, deliveries, manifest.generation + 1);
    return await mapStaged({ ...context, manifest: next });
  } catch (error) {
    if (!isPipelineError(error, 'extract-lost')) throw error;
    return { ...nothingMapped, ...(await stopDelivery(dependencies, at, error)) };
  }
}

const nothingMapped = { mapAttempt: '', loadManifest: '', rows: 0, failed: 0 };

async function finish(context: MapContext, made: MapResult): Promise<MapResult> {
  const { catalog, staging } = context.dependencies;
  const { batchId, source, lane } = context.batch;
  const { destination } = context.delivery;
  await failpoint('map-computed');
  const files = await readLoadFiles(staging, made.loadManifest);
  const at = { batchId, destination, source, lane, attempt: made.mapAttempt };
  if (await recordMapped({ staging, catalog }, files, at)) await failpoint('failures-recorded');
  return { ...made, generation: context.manifest.generation };
}
