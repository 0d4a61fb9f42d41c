import { defaultRecordLimits, type RecordBlock, type RecordContext } from '../core/records.ts';
import { must } from '../core/errors.ts';
import { failpoint } from '../core/failpoints.ts';
import { sourceModule } from '../connectors/registry.ts';
import type { BatchRow, DeliveryRow } from '../store/catalog/batches.ts';
import { insertManifest, type Manifest } from '../store/catalog/extracts.ts';
import { currentMappings } from '../store/catalog/mappings.ts';
import { readRestreamEvents, type RestreamEvent } from '../store/catalog/restreams.ts';
import { stagingKey } from '../store/staging/names.ts';
import { newAttempt, stagingPrefix } from './attempts.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { mayResend } from './may-resend.ts';
import type { BlockTask, BlockTaskResult, TaskTarget } from './threads/block-task.ts';
import { runBlockTask } from './threads/run-block-task.ts';

/**
 * Reads a batch from where it comes into staging and stores its manifest. While it is parsed for
 * the profile it is also mapped with the newest mapping, which mostly is the one that
 * `syncSchema` will pin. Returns the manifest that won: perhaps another attempt's.
 * @throws PipelineError `extract-lost` when the source no longer has the range.
 */
export async function extractBatch(
  dependencies: ActivityDependencies,
  batch: BatchRow,
  deliveries: readonly DeliveryRow[],
  generation: number,
): Promise<Manifest> {
  const { catalog } = dependencies;
  const attempt = newAttempt();
  const targets = await newestTargets(dependencies, batch.source, deliveries);
  const prefix = stagingPrefix(batch.batchId, attempt);
  const result = await (batch.run.startsWith('restream/')
    ? passFailedEvents(dependencies, batch, prefix)
    : passSource(dependencies, batch, prefix, targets));
  await failpoint('extract-staged');
  const manifest = toManifest(batch.batchId, generation, attempt, { result, targets });
  const standing = await insertManifest(catalog, manifest);
  await failpoint('manifest-stored');
  return standing;
}

async function newestTargets(
  { catalog, destinations, configuration }: ActivityDependencies,
  source: string,
  deliveries: readonly DeliveryRow[],
): Promise<readonly TaskTarget[]> {
  const targets = [];
  const eventIds = await mayResend(configuration, source);
  for (const { destination, state } of deliveries) {
    if (state === 'settled' || state === 'lost' || state === 'discarded') continue;
    const mappings = await currentMappings(catalog, { source, destination });
    if (mappings.length === 0) continue;
    targets.push({
      destination,
      destinationType: await destinations.typeOf(destination),
      mappings,
      eventIds,
    });
  }
  return targets;
}

async function passSource(
  { configuration, threads, settings, signal }: ActivityDependencies,
  batch: BatchRow,
  prefix: string,
  targets: readonly TaskTarget[],
): Promise<BlockTaskResult> {
  const { settings: connector, configDir, name } = await configuration.source(batch.source);
  const { keepsRanges = false } = await sourceModule(connector.type);
  const task: BlockTask = {
    batchId: batch.batchId,
    input: {
      kind: 'source',
      source: name,
      settings: connector,
      configDir,
      range: { from: batch.from, to: batch.to, bytes: batch.plannedBytes },
      lane: { name: batch.lane, memo: batch.memo },
      ...(isBackfill(batch) && batch.stream !== null && { stream: batch.stream }),
    },
    stagingRoot: settings.stagingRoot,
    prefix,
    extract: true,
    inPlace: keepsRanges && !isBackfill(batch),
    targets,
    limits: defaultRecordLimits,
  };
  return threads.run(task, signal());
}

/** A backfill of one stream reads no other that its lane may hold: its extract is one of its own. */
function isBackfill({ run }: BatchRow): boolean {
  return run.startsWith('backfill/');
}

/** A restream's records come from the catalog: few enough to pass on the main thread. */
async function passFailedEvents(
  { catalog, staging, settings, progress, signal }: ActivityDependencies,
  batch: BatchRow,
  prefix: string,
): Promise<BlockTaskResult> {
  const restreamId = batch.run.slice('restream/'.length);
  const range = { restreamId, from: Number(batch.from), to: Number(batch.to) };
  const task: BlockTask = {
    batchId: batch.batchId,
    input: { kind: 'frames', file: { name: '', bytes: 0, sha256: '' } },
    stagingRoot: settings.stagingRoot,
    prefix,
    extract: true,
    targets: [],
    limits: defaultRecordLimits,
  };
  const blocks = toBlocks(readRestreamEvents(catalog, range));
  return runBlockTask(task, { blocks, staging, signal: signal(), onProgress: progress.report });
}

async function* toBlocks(
  pages: AsyncIterable<readonly RestreamEvent[]>,
): AsyncIterable<RecordBlock> {
  for await (const page of pages) {
    for (const run of runsOfOneKind(page)) yield toBlock(run);
  }
}

/** Consecutive events of one stream that are read in the same way. */
function runsOfOneKind(events: readonly RestreamEvent[]): readonly RestreamEvent[][] {
  const runs: RestreamEvent[][] = [];
  let key: string | undefined;
  for (const event of events) {
    const next = JSON.stringify([event.stream, event.context]);
    if (next !== key) runs.push([]);
    runs.at(-1)?.push(event);
    key = next;
  }
  return runs;
}

function toBlock(events: readonly RestreamEvent[]): RecordBlock {
  const first = must(events[0], 'the first event of a run');
  const ends = new Uint32Array(events.length);
  let end = 0;
  for (const [at, { raw }] of events.entries()) ends[at] = end += raw.length;
  const context: RecordContext = first.context;
  return {
    stream: first.stream,
    context,
    bytes: Buffer.concat(events.map(({ raw }) => raw)),
    starts: Uint32Array.from(ends, (_, at) => ends[at - 1] ?? 0),
    ends,
    idPrefix: '',
    idNumbers: new Float64Array(events.length),
    ids: events.map(({ eventId }) => eventId),
    versions: events.map(({ version }) => version),
    lineNumbers: Float64Array.from(events, ({ lineNumber }) => lineNumber ?? Number.NaN),
  };
}

function toManifest(
  batchId: string,
  generation: number,
  attempt: string,
  { result, targets }: { result: BlockTaskResult; targets: readonly TaskTarget[] },
): Manifest {
  const { name, bytes, sha256 } = must(result.records, 'the staged records');
  const streams = new Set(result.profile.map(({ stream }) => stream));
  const premapped = result.targets
    .filter(({ unmappedEvents }) => unmappedEvents === 0)
    .map(({ destination, loadManifest, rows, failures }) => ({
      destination,
      attempt,
      loadManifest,
      rows,
      failures,
      versions: Object.fromEntries(
        (targets.find((target) => target.destination === destination)?.mappings ?? [])
          .filter(({ stream }) => streams.has(stream))
          .map(({ stream, version }) => [stream, version]),
      ),
    }));
  const { events, eventBytes, profile } = result;
  return {
    batchId,
    generation,
    attempt,
    stagingKey: stagingKey(batchId),
    stagedName: name,
    stagedBytes: bytes,
    sha256,
    events,
    eventBytes,
    profile,
    premapped,
  };
}
