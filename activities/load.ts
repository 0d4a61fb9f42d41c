import type { Destination, LedgerRow, LoadRequest, LoadTable } from '../core/destination.ts';
import type { Mapping } from '../core/mapping.ts';
import { isPipelineError, must, PipelineError } from '../core/errors.ts';
import { failpoint } from '../core/failpoints.ts';
import type { EventFailure, FailedEvent } from '../core/failed-events.ts';
import type { BatchToLoad, LoadCallbacks, LoadPart } from '../pipeline/batches/batch-to-load.ts';
import { hashFailures } from '../pipeline/batches/failures-hash.ts';
import { loadBatch, rehearseBatch } from '../pipeline/batches/load-batch.ts';
import { adoptFailures } from '../store/catalog/adopt-failures.ts';
import { readBatch, type BatchRow } from '../store/catalog/batches.ts';
import { setDeliveryState } from '../store/catalog/deliveries.ts';
import { noteDestinationUp } from '../store/catalog/destinations.ts';
import { readManifest, type Manifest } from '../store/catalog/extracts.ts';
import { noteResentFailures, recordFailures } from '../store/catalog/failures.ts';
import { stopLane } from '../store/catalog/lanes.ts';
import { currentMapping, readMapping } from '../store/catalog/mappings.ts';
import { recordedEvents } from '../store/catalog/settle-backfilled.ts';
import { newAttempt } from './attempts.ts';
import { readGenerations } from './generations.ts';
import type { BackupCheck } from './backup-check.ts';
import type { Activities, LoadInput, LoadResult } from './contract.ts';
import type { ActivityDependencies, OpenDestination } from './dependencies.ts';
import { precededEvents } from './earlier-events.ts';
import { settleLoaded } from './settle-loaded.ts';
import { emptyPart, openEncodedRows, openIds, readLoadFiles, readOrdinals } from './load-files.ts';
import { openExtract } from './open-extract.ts';
import { findEvents, readFailedPlaces, readRecords } from './staged-records.ts';
import { shortReason, stopDelivery, stopIfRefused } from './stop-delivery.ts';
import type { LoadPartFiles } from './threads/block-task.ts';
import { withDestination } from './with-destination.ts';

interface LoadContext {
  readonly dependencies: ActivityDependencies;
  readonly input: LoadInput;
  readonly batch: BatchRow;
  readonly pins: Readonly<Record<string, number>>;
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
    const found = await readManifest(catalog, input.batchId, input.generation);
    const manifest = must(found, 'the manifest');
    const context = { dependencies, input, batch, manifest, pins: delivery.pins ?? {} };
    try {
      const row = await withDestination(dependencies, input, async (open) => {
        const { source, lane } = batch;
        await backups.beforeLoading({ source, lane, destination: input.destination }, open);
        return loadOnce(context, open);
      });
      if (row === null) return { outcome: 'waiting', rowsLoaded: 0, rowsFailed: 0 };
      // Only what reached it says that it is up; other steps may do without.
      await noteDestinationUp(catalog, input.destination);
      failpoint('before-settle');
      return await settle(context, row);
    } catch (error) {
      return await explain(context, error);
    }
  };
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
  try {
    return await settleLoaded(dependencies, input, row);
  } catch (error) {
    if (!isPipelineError(error, 'conflict')) throw error;
  }
  await rebuildFailures(context, row);
  return settleLoaded(dependencies, input, row);
}

/** What mapping found is recorded already; what the destination refused shows when it is asked again. */
async function rebuildFailures(context: LoadContext, row: LedgerRow): Promise<void> {
  const { dependencies, input } = context;
  const { catalog } = dependencies;
  const { batchId, destination, mapAttempt } = input;
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
  const { dependencies, input } = context;
  const { batch, callbacks } = await openBatch(context);
  const of = { destination: input.destination, ids: batch.eventIds };
  const preceded = await precededEvents(dependencies, context.batch, of);
  return loadBatch(destination, { ...batch, preceded }, callbacks);
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
  return {
    loadAttempt,
    batch: {
      request: toRequest(context, parts, loadAttempt),
      parts,
      failuresBefore: await readFailedPlaces(staging, files),
      eventIds: files.idsFile && openIds(staging, files.idsFile),
      discarded: await findDiscarded(context),
      generations: await readGenerations(catalog, batch, parts),
    },
    callbacks: {
      onResentFailures: (ordinals) => noteResentFailures(catalog, at, ordinals),
      onRefused: async (failures) =>
        recordFailures(catalog, at, await withRecords(context, failures)),
      onProgress: progress.report,
    },
  };
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
  const parts = await Promise.all(
    Object.keys(context.pins).map(async (stream): Promise<readonly LoadPart[]> => {
      const mapping = await readPinned(context, stream);
      const part = files.find((file) => file.stream === stream);
      if (!part) return mapping.mapping.replace ? [emptyPart(mapping)] : [];
      const rows = openEncodedRows(staging, part, mapping);
      return [{ rows, ordinals: await readOrdinals(staging, part) }];
    }),
  );
  return parts.flat();
}

async function readPinned({ dependencies, input, batch, pins }: LoadContext, stream: string) {
  const { catalog } = dependencies;
  const version = must(pins[stream], 'the pinned version');
  const key = { source: batch.source, stream, destination: input.destination, version };
  const mapping = await readMapping(catalog, key);
  const laterColumns = async () => columnsBeyond(mapping, await currentMapping(catalog, key));
  return { mapping, laterColumns };
}

function toRequest(
  { dependencies, batch, input, manifest, pins }: LoadContext,
  parts: readonly LoadPart[],
  loadAttempt: string,
): LoadRequest {
  const { batchId, source, lane, from, to } = batch;
  const write = batch.run === 'live' ? 'append' : 'append-absent';
  return {
    claim: {
      batchId,
      source,
      lane,
      from,
      to,
      extractSha256: manifest.sha256,
      mapAttempt: input.mapAttempt,
      loadAttempt,
      mappingVersions: pins,
    },
    tables: parts.map(({ rows }) => toTable(rows.mapping, write)),
    write,
    fenceTimeoutMs: dependencies.settings.fenceTimeoutMs,
    signal: dependencies.signal(),
  };
}

function toTable({ table, merge, replace }: Mapping, write: LoadRequest['write']): LoadTable {
  const compares = merge !== undefined || replace === true || write === 'append-absent';
  return { ...table, alone: compares };
}

function columnsBeyond({ columns }: Mapping, newest: Mapping | null): readonly string[] {
  const known = new Set(columns.map(({ column }) => column));
  return (newest?.columns ?? []).map(({ column }) => column).filter((name) => !known.has(name));
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

/** Answers that the workflow acts on; everything else is repeated by Temporal. */
async function explain(
  { dependencies, input, batch }: LoadContext,
  error: unknown,
): Promise<LoadResult> {
  const nothing = { rowsLoaded: 0, rowsFailed: 0 };
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
