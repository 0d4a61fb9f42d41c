import type { Mapping, StreamProfile, WriteRule } from '../core/mapping.ts';
import { isPipelineError, must, PipelineError } from '../core/errors.ts';
import { failpoint } from '../core/failpoints.ts';
import type { ImportedSchema } from '../core/source.ts';
import { misfitOf, profileOf } from '../pipeline/batches/choose-road.ts';
import { hasNewFields } from '../pipeline/mapping/new-fields.ts';
import { planMapping } from '../pipeline/mapping/plan-mapping.ts';
import { assignTableName, schemaNameOf } from '../pipeline/mapping/names.ts';
import { writeRuleOf } from '../pipeline/mapping/write-rule.ts';
import { readBatch, type BatchRow, type DeliveryRow } from '../store/catalog/batches.ts';
import type { Transaction } from '../store/catalog/catalog.ts';
import { changeTable, settlePlannedDdl } from '../store/catalog/ddl-records.ts';
import { hasEarlierUnpinned, pinMappings, renewPins } from '../store/catalog/deliveries.ts';
import { readManifest } from '../store/catalog/extracts.ts';
import {
  currentMapping,
  currentMappings,
  insertMapping,
  lockMappings,
  readMapping,
} from '../store/catalog/mappings.ts';
import { leaveForStaging, leavesTypedRoad } from './choose-road.ts';
import type { Activities, SyncSchemaInput, SyncSchemaResult } from './contract.ts';
import type { ActivityDependencies, OpenDestination } from './dependencies.ts';
import { stopDelivery, stopIfRefused } from './stop-delivery.ts';
import { withDestination } from './with-destination.ts';

interface Context {
  readonly dependencies: ActivityDependencies;
  readonly batch: BatchRow;
  readonly delivery: DeliveryRow;
  readonly profile: readonly StreamProfile[];
  /** On the typed road: the profile is made of it. */
  readonly declared: ImportedSchema | null;
  readonly destination: OpenDestination;
}

export function createSyncSchema(dependencies: ActivityDependencies): Activities['syncSchema'] {
  const { catalog } = dependencies;
  const applied = new AppliedVersions();
  return async function syncSchema(input: SyncSchemaInput): Promise<SyncSchemaResult> {
    const { batch, deliveries } = await readBatch(catalog, input.batchId);
    const delivery = must(deliveries.find(({ destination }) => destination === input.destination));
    if (delivery.state === 'settled') return { outcome: 'settled', changes: 0 };
    try {
      const seen = await look(dependencies, batch);
      if (seen === null) return { outcome: 'needs-staging', changes: 0 };
      const result = await withDestination(dependencies, input, (destination) =>
        bringInStep({ dependencies, batch, delivery, ...seen, destination }, input.renew, applied),
      );
      return result ?? { outcome: 'waiting', changes: 0 };
    } catch (error) {
      return { ...(await explain(dependencies, batch, { input, error })), changes: 0 };
    }
  };
}

/**
 * What the records of a batch look like; on the typed road, what the source says of them. Null: the
 * batch has left that road meanwhile and was not extracted.
 */
async function look(
  dependencies: ActivityDependencies,
  { batchId, source, stream, road }: BatchRow,
): Promise<Pick<Context, 'profile' | 'declared'> | null> {
  const { catalog, configuration, openSource, signal } = dependencies;
  if (road !== 'typed' || stream === null) {
    const manifest = await readManifest(catalog, batchId);
    return manifest && { profile: manifest.profile, declared: null };
  }
  await using open = await openSource(await configuration.source(source));
  const declared = must(await open.importSchema?.(stream, signal()), 'the schema');
  return { profile: [profileOf(declared)], declared };
}

async function explain(
  dependencies: ActivityDependencies,
  batch: BatchRow,
  { input, error }: { readonly input: SyncSchemaInput; readonly error: unknown },
): Promise<Pick<SyncSchemaResult, 'outcome' | 'message'>> {
  if (batch.road === 'typed' && leavesTypedRoad(error)) {
    return leaveForStaging(dependencies, batch, error);
  }
  if (isPipelineError(error, 'extract-lost')) return stopDelivery(dependencies, input, error);
  return stopIfRefused(dependencies, input, error);
}

async function bringInStep(
  context: Context,
  renew: boolean,
  applied: AppliedVersions,
): Promise<SyncSchemaResult> {
  const { pins } = context.delivery;
  const mappings = await chooseMappings(context, renew);
  assertFits(context, mappings);
  const changes = await applyMappings(context, mappings, { applied, force: renew });
  if (pins === null || renew) await pin(context, mappings);
  if (!renew) return { outcome: 'ready', changes };
  const repinned = mappings.some(({ stream, version }) => pins?.[stream] !== version);
  return { outcome: 'ready', changes, renewed: changes > 0 || repinned };
}

/** The versions that are pinned already, or the newest ones after this batch's profile. */
async function chooseMappings(context: Context, renew: boolean): Promise<readonly Mapping[]> {
  const { delivery, batch, dependencies } = context;
  const { source } = batch;
  const { destination } = delivery;
  if (delivery.pins !== null && !renew) {
    const pins = Object.entries(delivery.pins);
    return Promise.all(
      pins.map(([stream, version]) =>
        readMapping(dependencies.catalog, { source, stream, destination, version }),
      ),
    );
  }
  await waitForEarlier(context);
  const imported = await importSchemas(context);
  return dependencies.catalog.transaction(async (tx) => {
    await lockMappings(tx, { source, destination });
    const known = byStream(await currentMappings(tx, { source, destination }));
    const mappings = [];
    for (const stream of roomFor(context, known)) {
      const schema = imported.get(stream.stream) ?? null;
      const mapping = await planStream(tx, context, { known, profile: stream, imported: schema });
      known.set(mapping.stream, mapping);
      mappings.push(mapping);
    }
    await failpoint('mapping-planned');
    return [...mappings, ...(await mappingsWithoutRows(tx, context))];
  });
}

/** @throws PipelineError `needs-staging` where the rows are not what the mapping wants */
function assertFits({ declared }: Context, mappings: readonly Mapping[]): void {
  const [mapping] = mappings;
  const misfit = declared && mapping && misfitOf(mapping, declared);
  if (misfit) throw new PipelineError('needs-staging', misfit);
}

/** What the source declares of the streams that are new, or have new fields, where it does so. */
async function importSchemas(context: Context): Promise<ReadonlyMap<string, ImportedSchema>> {
  const { dependencies, batch, delivery, declared } = context;
  if (declared) return new Map([[declared.stream, declared]]);
  const { catalog, configuration, openSource, signal } = dependencies;
  const { destination } = delivery;
  const all = await currentMappings(catalog, { source: batch.source, destination });
  const known = byStream(all);
  const asked = roomFor(context, known).filter((stream) =>
    asksSource(batch, stream, known.get(stream.stream)),
  );
  const schemas = new Map<string, ImportedSchema>();
  if (asked.length === 0) return schemas;
  await using source = await openSource(await configuration.source(batch.source));
  if (!source.importSchema) return schemas;
  for (const { stream } of asked) {
    try {
      schemas.set(stream, await source.importSchema(stream, signal()));
    } catch (error) {
      if (!isPipelineError(error, 'invalid-config')) throw error;
      if (!known.has(stream)) throw unknownTable(stream, error);
      // It is gone or changed: what its rows look like says the types of new columns.
    }
  }
  return schemas;
}

/** Events that are sent through again had their columns when they came first. */
function asksSource({ run }: BatchRow, stream: StreamProfile, known: Mapping | undefined): boolean {
  return !known || (!run.startsWith('restream/') && hasNewFields(known, stream));
}

/** Without its source nobody knows the key of a new table, and how it is written is never changed. */
function unknownTable(stream: string, cause: PipelineError): PipelineError {
  return new PipelineError(
    'extract-lost',
    `${cause.message}; its rows were read, but no table was made for ${stream} yet, and only the source knows its key and types: bring it back and run sync, or give these rows up (runs discard)`,
    { cause },
  );
}

/** A full refresh that found nothing empties its table. */
async function mappingsWithoutRows(
  tx: Transaction,
  { batch, delivery, profile }: Context,
): Promise<readonly Mapping[]> {
  const { stream, source, whole } = batch;
  if (!whole || stream === null || profile.some((known) => known.stream === stream)) return [];
  const { destination } = delivery;
  const mapping = await currentMapping(tx, { source, stream, destination });
  return mapping ? [mapping] : [];
}

/** Types must not depend on timing: the first batches of a stream fix its columns in plan order. */
async function waitForEarlier(context: Context): Promise<void> {
  const { dependencies, batch, delivery } = context;
  const { source } = batch;
  const { destination } = delivery;
  if (batch.run !== 'live') return;
  const mapped = byStream(await currentMappings(dependencies.catalog, { source, destination }));
  for (const { stream } of roomFor(context, mapped)) {
    if (mapped.has(stream)) continue;
    const at = { batchId: batch.batchId, destination, stream };
    const earlier = await hasEarlierUnpinned(dependencies.catalog, at);
    if (earlier === null) continue;
    throw new PipelineError(
      'earlier-batch-first',
      `waits for ${earlier}, which fixes the columns of ${stream}`,
    );
  }
}

function byStream(mappings: readonly Mapping[]): Map<string, Mapping> {
  return new Map(mappings.map((mapping) => [mapping.stream, mapping]));
}

/**
 * Streams that have a mapping or get one. Names that are data would be tables without end: events of
 * those beyond the limit go to review.
 */
function roomFor(
  { profile, dependencies }: Pick<Context, 'profile' | 'dependencies'>,
  known: ReadonlyMap<string, Mapping>,
): readonly StreamProfile[] {
  let room = dependencies.settings.maxStreams - known.size;
  return profile.filter(({ stream }) => known.has(stream) || (room -= 1) >= 0);
}

interface StreamToPlan {
  readonly known: ReadonlyMap<string, Mapping>;
  readonly profile: StreamProfile;
  readonly imported: ImportedSchema | null;
}

async function planStream(
  tx: Transaction,
  context: Context,
  { known, profile, imported }: StreamToPlan,
): Promise<Mapping> {
  const { batch, delivery, destination } = context;
  const { source } = batch;
  const current = known.get(profile.stream) ?? null;
  const taken = new Set([...known.values()].map(({ table }) => table.name));
  const plan = planMapping({
    source,
    stream: profile.stream,
    destination: delivery.destination,
    current,
    profile,
    imported,
    naming: destination.naming,
    schemaName: schemaNameOf(source, destination.naming),
    tableName: current?.table.name ?? assignTableName(profile.stream, taken, destination.naming),
    write: current ? ruleOf(current) : await writeRule(context, profile.stream, imported),
  });
  if (plan.changed) {
    const reason = plan.changes
      .map(({ reason: why }) => why)
      .join('; ')
      .slice(0, 2000);
    await insertMapping(tx, plan.mapping, { author: 'automapper', reason });
  }
  return plan.mapping;
}

/** A table keeps the way it was made with. */
function ruleOf({ merge, replace }: Mapping): WriteRule {
  return { ...(merge && { merge }), ...(replace && { replace }) };
}

async function writeRule(
  { dependencies, batch }: Context,
  stream: string,
  imported: ImportedSchema | null,
): Promise<WriteRule> {
  const { pipeline } = await dependencies.configuration.source(batch.source);
  return writeRuleOf(stream, pipeline, imported);
}

async function applyMappings(
  { dependencies, batch, delivery, destination: opened }: Context,
  mappings: readonly Mapping[],
  { applied, force }: { applied: AppliedVersions; force: boolean },
): Promise<number> {
  let count = 0;
  const { catalog } = dependencies;
  const { destination } = opened;
  const signal = dependencies.signal();
  const unseen = mappings.filter((mapping) => force || !applied.has(mapping));
  const at = { destination: delivery.destination, source: batch.source, signal };
  if (unseen.length > 0) await settlePlannedDdl(catalog, destination, at);
  for (const mapping of unseen) {
    const newest = await currentMapping(catalog, mapping);
    // An older pin must not take back what a newer version did to the table.
    if (newest && newest.version > mapping.version) continue;
    const { batchId } = batch;
    count += (await changeTable(catalog, destination, { mapping, batchId, signal })).length;
    applied.add(mapping);
  }
  return count;
}

async function pin(context: Context, mappings: readonly Mapping[]): Promise<void> {
  const { dependencies, batch, delivery } = context;
  const pins = Object.fromEntries(mappings.map(({ stream, version }) => [stream, version]));
  const at = { batchId: batch.batchId, destination: delivery.destination, pins };
  if (delivery.pins === null) await pinMappings(dependencies.catalog, at);
  else await renewPins(dependencies.catalog, { ...at, replaced: delivery.pins });
}

/** Versions this worker has seen in the warehouse: spares a look per batch in the steady state. */
class AppliedVersions {
  readonly #versions = new Map<string, number>();

  has({ destination, source, stream, version }: Mapping): boolean {
    return (this.#versions.get(JSON.stringify([destination, source, stream])) ?? 0) >= version;
  }

  add({ destination, source, stream, version }: Mapping): void {
    this.#versions.set(JSON.stringify([destination, source, stream]), version);
  }
}
