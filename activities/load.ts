import { destinationModule } from '../connectors/registry.ts';
import type { Destination, LedgerRow } from '../core/destination.ts';
import { isPipelineError, must, PipelineError } from '../core/errors.ts';
import { failpoint } from '../core/failpoints.ts';
import type { EventFailure, FailedEvent } from '../core/failed-events.ts';
import type { Mapping } from '../core/mapping.ts';
import type {
  BatchToLoad,
  LoadCallbacks,
  LoadPart,
  MarkedEvents,
} from '../pipeline/batches/batch-to-load.ts';
import { hashFailures } from '../pipeline/batches/failures-hash.ts';
import { hashLayout } from '../pipeline/batches/row-layout.ts';
import { loadBatch, rehearseBatch } from '../pipeline/batches/load-batch.ts';
import { adoptFailures } from '../store/catalog/adopt-failures.ts';
import { readBatch, type DeliveryRow } from '../store/catalog/batches.ts';
import { setDeliveryState } from '../store/catalog/deliveries.ts';
import { noteDestinationUp } from '../store/catalog/destinations.ts';
import { readManifest, type Manifest } from '../store/catalog/extracts.ts';
import { noteResentFailures, recordFailures } from '../store/catalog/failures.ts';
import { stopLane } from '../store/catalog/lanes.ts';
import { recordedEvents } from '../store/catalog/settle-backfilled.ts';
import { newAttempt } from './attempts.ts';
import { readGenerations } from './generations.ts';
import type { BackupCheck } from './backup-check.ts';
import type { Activities, LoadInput, LoadResult } from './contract.ts';
import type { ActivityDependencies, OpenDestination } from './dependencies.ts';
import { precededEvents } from './earlier-events.ts';
import { leaveForStaging, leavesTypedRoad } from './choose-road.ts';
import { readPinned, toRequest, type Loading } from './load-request.ts';
import { loadFromSource } from './load-typed.ts';
import { settleIfComplete, settleLoaded } from './settle-loaded.ts';
import { markEvents } from './mark-events.ts';
import { emptyPart, openEncodedRows, openIds, readLoadFiles, readOrdinals } from './load-files.ts';
import { openExtract } from './open-extract.ts';
import { findEvents, readFailedPlaces, readRecords } from './staged-records.ts';
import { recordMapped } from './record-mapped.ts';
import { shortReason, stopDelivery, stopIfRefused } from './stop-delivery.ts';
import type { LoadPartFiles } from './threads/block-task.ts';
import { unlessLost } from './unless-lost.ts';
import { withDestination } from './with-destination.ts';

interface LoadContext extends Loading {
  readonly manifest: Manifest;
}

/** All that a load transaction needs, opened for one attempt. */
interface OpenBatch {
  readonly loadAttempt: string;
  readonly batch: BatchToLoad;
  readonly callbacks: LoadCallbacks;
}

export function createLoad(
  dependencies: ActivityDependencies,
  backups: Pick<BackupCheck, 'beforeLoading'>,
): Activities['load'] {
  const { catalog } = dependencies;
  return async function load(input: LoadInput): Promise<LoadResult> {
    const { batch, deliveries } = await readBatch(catalog, input.batchId);
    const delivery = must(deliveries.find(({ destination }) => destination === input.destination));
    if (delivery.state === 'settled') {
      const { rowsLoaded, rowsFailed } = delivery;
      return { outcome: 'settled', rowsLoaded, rowsFailed };
    }
    const road = await findRoad({ dependencies, input, batch, pins: delivery.pins });
    if (road === null) return { outcome: 'needs-staging', ...nothing };
    try {
      const row = await withDestination(dependencies, input, async (open) => {
        const { source, lane } = batch;
        await backups.beforeLoading({ source, lane, destination: input.destination }, open);
        return road.load(open);
      });
      if (row === null) return { outcome: 'waiting', ...nothing };
      // Only what reached it says that it is up; other steps may do without.
      await noteDestinationUp(catalog, input.destination);
      await failpoint('before-settle');
      if (batch.run.startsWith('restream/')) await failpoint('restream-loaded');
      return await road.settle(row);
    } catch (error) {
      return await road.explain(error);
    }
  };
}

const nothing = { rowsLoaded: 0, rowsFailed: 0 };

/** What differs between the roads. */
interface LoadRoad {
  load(destination: OpenDestination): Promise<LedgerRow>;
  settle(row: LedgerRow): Promise<LoadResult>;
  /** Answers that the workflow acts on; everything else is repeated by Temporal. */
  explain(error: unknown): Promise<LoadResult>;
}

/** Null: a catalog from an older backup does not know of what was extracted or pinned. */
async function findRoad({
  pins,
  ...about
}: Omit<Loading, 'pins'> & Pick<DeliveryRow, 'pins'>): Promise<LoadRoad | null> {
  if (pins === null) return null;
  const loading = { ...about, pins };
  const { dependencies, input } = about;
  if (input.road === 'typed') return onTypedRoad(loading);
  const manifest = await readManifest(dependencies.catalog, input.batchId, input.generation);
  return manifest && onStagedRoad({ ...loading, manifest });
}

function onStagedRoad(context: LoadContext): LoadRoad {
  return {
    load: (open) => loadOnce(context, open),
    settle: (row) => settle(context, row),
    explain: (error) => explain(context, error),
  };
}

function onTypedRoad(loading: Loading): LoadRoad {
  const { dependencies, input } = loading;
  return {
    load: (open) => loadFromSource(loading, open),
    settle: (row) => settleTyped(loading, row),
    async explain(error) {
      if (!leavesTypedRoad(error)) return explain(loading, error);
      return { ...(await leaveForStaging(dependencies, input, error)), ...nothing };
    },
  };
}

/** Failed events that the ledger counts and a restored catalog lacks: only staged records name them. */
async function settleTyped({ dependencies, input }: Loading, row: LedgerRow): Promise<LoadResult> {
  const settled = await settleIfComplete(dependencies, input, row);
  if (settled) return settled;
  throw new PipelineError('needs-staging', 'failed events that its ledger counts are to be found');
}

/** Staged files that are gone matter only while the destination lacks the batch. */
async function loadOnce(context: LoadContext, { destination }: OpenDestination) {
  try {
    return await loadStaged(context, destination);
  } catch (error) {
    if (!isPipelineError(error, 'extract-lost')) throw error;
    const { batchId } = context.batch;
    const [row] = await destination.readLedger([batchId], context.dependencies.signal());
    if (row) return row;
    throw error;
  }
}

/** Settles; failed events that the ledger counts and a restored catalog lacks are found again. */
async function settle(context: LoadContext, row: LedgerRow): Promise<LoadResult> {
  const { dependencies, input } = context;
  const settled = await settleIfComplete(dependencies, input, row);
  if (settled) return settled;
  await rebuildFailures(context, row);
  return settleLoaded(dependencies, input, row);
}

/** What mapping found is staged; what the destination refused shows when it is asked again. */
async function rebuildFailures(context: LoadContext, row: LedgerRow): Promise<void> {
  const { dependencies, input, batch } = context;
  const { catalog, staging } = dependencies;
  const { batchId, destination, mapAttempt } = input;
  const { source, lane } = batch;
  const at = { batchId, destination, source, lane, attempt: mapAttempt };
  await unlessLost(async () =>
    recordMapped(dependencies, await readLoadFiles(staging, input.loadManifest), at),
  );
  const known = { batchId, destination, row, hashOf: hashFailures };
  if (await adoptFailures(catalog, { ...known, attempts: [mapAttempt] })) return;
  const refused = await withDestination(dependencies, input, async (open) => {
    const { batch, callbacks, loadAttempt } = await openBatch(context);
    await rehearseBatch(open.destination, batch, callbacks);
    return loadAttempt;
  });
  const attempts = refused === null ? [mapAttempt] : [mapAttempt, refused];
  if (await adoptFailures(catalog, { ...known, attempts })) return;
  const kind = 'backup-mismatch';
  const message = `batch ${batchId}: the ledger counts ${row.rowsFailed} failed events that the catalog does not know, and they are not found again: recover closes the batch without them`;
  await setDeliveryState(catalog, { batchId, destination, state: 'stopped', kind, message });
  throw new PipelineError(kind, message);
}

async function loadStaged(context: LoadContext, destination: Destination): Promise<LedgerRow> {
  const { batch, callbacks } = await openBatch(context);
  return loadBatch(destination, batch, callbacks);
}

async function openBatch(context: LoadContext): Promise<OpenBatch> {
  const { dependencies, input, batch } = context;
  const { staging, catalog, progress } = dependencies;
  const files = await readLoadFiles(staging, input.loadManifest);
  const loadAttempt = newAttempt();
  const at = {
    batchId: batch.batchId,
    destination: input.destination,
    source: batch.source,
    lane: batch.lane,
    attempt: loadAttempt,
  };
  const parts = await openParts(context, files.parts);
  const eventIds = files.idsFile && openIds(staging, files.idsFile);
  const of = { destination: input.destination, ids: eventIds };
  return {
    loadAttempt,
    batch: {
      request: toRequest(context, await touchedTables(context, parts), {
        loadAttempt,
        extractSha256: context.manifest.sha256,
      }),
      parts,
      failuresBefore: await readFailedPlaces(staging, files),
      eventIds,
      preceded: await precededEvents(dependencies, batch, of),
      discarded: await findDiscarded(context),
      generations: await readGenerations(catalog, batch, parts),
      ...(batch.run !== 'live' && { mark: (ordinals) => mark(context, ordinals) }),
    },
    callbacks: {
      onResentFailures: (ordinals) => noteResentFailures(catalog, at, ordinals),
      onRefused: async (failures) =>
        recordFailures(catalog, at, await withRecords(context, failures)),
      onProgress: progress.report,
    },
  };
}

/** Where events come again those too of which all events fail: they are asked for them. */
async function touchedTables(
  context: LoadContext,
  parts: readonly LoadPart[],
): Promise<readonly Mapping[]> {
  if (context.batch.run !== 'live') return pinnedMappings(context);
  return parts.map(({ rows }) => rows.mapping);
}

async function pinnedMappings(context: LoadContext): Promise<readonly Mapping[]> {
  const streams = Object.keys(context.pins);
  const pinned = await Promise.all(streams.map((stream) => readPinned(context, stream)));
  return pinned.map(({ mapping }) => mapping);
}

/** What the tables would know events by that come again and fail. */
async function mark(
  context: LoadContext,
  ordinals: ReadonlySet<number>,
): Promise<readonly MarkedEvents[]> {
  const { dependencies, batch, input, manifest } = context;
  const type = await dependencies.destinations.typeOf(input.destination);
  const { encoding } = await destinationModule(type);
  const mappings = await pinnedMappings(context);
  const extract = openExtract(dependencies, batch, manifest);
  return markEvents(extract, ordinals, { batchId: batch.batchId, mappings, encoding });
}

/** Events that a backfill read again and that a person has discarded. */
async function findDiscarded(context: LoadContext): Promise<ReadonlySet<number>> {
  const { batch, input, manifest, dependencies } = context;
  if (!batch.run.startsWith('backfill/')) return new Set();
  const { batchId, destination } = input;
  const at = { batchId, destination, state: 'discarded' } as const;
  const ids = new Set(await recordedEvents(dependencies.catalog, at));
  if (ids.size === 0) return new Set();
  const found = await findEvents(openExtract(dependencies, batch, manifest), ids);
  return new Set(found.values());
}

async function openParts(
  context: LoadContext,
  files: readonly LoadPartFiles[],
): Promise<readonly LoadPart[]> {
  const { staging } = context.dependencies;
  const other = files.find(({ stream }) => !(stream in context.pins));
  if (other) throw otherMapping(other);
  const parts = await Promise.all(
    Object.keys(context.pins).map(async (stream): Promise<readonly LoadPart[]> => {
      const mapping = await readPinned(context, stream);
      const part = files.find((file) => file.stream === stream);
      if (part && part.layout !== hashLayout(mapping.mapping)) throw otherMapping(part);
      if (!part) return mapping.mapping.replace ? [emptyPart(mapping)] : [];
      const rows = openEncodedRows(staging, part, mapping);
      return [{ rows, ordinals: await readOrdinals(staging, part) }];
    }),
  );
  return parts.flat();
}

/** They are made anew. */
function otherMapping({ stream }: LoadPartFiles): PipelineError {
  const message = `the staged rows of ${stream} were made by another mapping than the pinned one`;
  return new PipelineError('extract-lost', message);
}

/** Refused rows are known by ordinal; their bytes come from the extract. */
async function withRecords(
  { dependencies, batch, manifest, pins }: LoadContext,
  failures: readonly EventFailure[],
): Promise<readonly FailedEvent[]> {
  const wanted = new Set(failures.map(({ ordinal }) => ordinal));
  const records = await readRecords(openExtract(dependencies, batch, manifest), wanted);
  return failures.map((failure) => {
    const record = must(records.get(failure.ordinal), 'the staged record');
    return { ...failure, ...record, mappingVersion: pins[record.stream] };
  });
}

async function explain(
  { dependencies, input, batch }: Loading,
  error: unknown,
): Promise<LoadResult> {
  if (isPipelineError(error, 'extract-lost')) return { outcome: 'files-lost', ...nothing };
  // The delivery stays open: it goes on after recover.
  if (isPipelineError(error, 'backup-mismatch')) return { outcome: 'stopped', ...nothing };
  if (isPipelineError(error, 'pin-outdated')) {
    if (input.lastTry) return { ...(await stopDelivery(dependencies, input, error)), ...nothing };
    return { outcome: 'pin-outdated', message: shortReason(error.message), ...nothing };
  }
  if (!isPipelineError(error, 'ledger-conflict')) {
    return { ...(await stopIfRefused(dependencies, input, error)), ...nothing };
  }
  const { kind, message } = error;
  const stopped = await stopDelivery(dependencies, input, error);
  await stopLane(dependencies.catalog, { source: batch.source, lane: batch.lane, kind, message });
  return { ...stopped, ...nothing };
}
