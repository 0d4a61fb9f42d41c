import { intakeLane } from '../connectors/kit/intake-source.ts';
import { runningBackfills } from '../store/catalog/backfills.ts';
import { sourcesWithWork } from '../store/catalog/batches.ts';
import { destinationsWithPlannedDdl, settlePlannedDdl } from '../store/catalog/ddl-records.ts';
import { reopenWaiting } from '../store/catalog/deliveries.ts';
import {
  noteDestinationUp,
  readDestinationStates,
  type DestinationState,
} from '../store/catalog/destinations.ts';
import { groupsNeedingReview } from '../store/catalog/groups.ts';
import { sourcesWithUnplannedChunks } from '../store/catalog/intake-chunks.ts';
import { listPaused } from '../store/catalog/pauses.ts';
import { runningRestreams } from '../store/catalog/restreams.ts';
import { listWantedSyncs } from '../store/catalog/wanted-syncs.ts';
import { listHolds } from '../store/catalog/source-holds.ts';
import type { BackupCheck } from './backup-check.ts';
import type { Activities } from './contract.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { createForgetEventIds } from './forget-event-ids.ts';
import { maxOpenReviews } from './reviews.ts';
import { sweepIntake } from './sweep-intake.ts';
import { sweepStaging } from './sweep-staging.ts';

export function createReconcile(
  dependencies: ActivityDependencies,
  backups: Pick<BackupCheck, 'everywhere'>,
): Activities['reconcile'] {
  const { catalog, engine } = dependencies;
  return async function reconcile() {
    await backups.everywhere();
    const held = new Set((await listHolds(catalog)).map(({ source }) => source));
    const open = await sourcesWithWork(catalog);
    const wanted = await listWantedSyncs(catalog);
    const candidates = new Set([...open, ...wanted, ...(await sourcesToPlan(dependencies))]);
    const sources = candidates.difference(held);
    for (const source of sources) await engine.startSync(source);
    const restreams = await runningRestreams(catalog);
    for (const restream of restreams) await engine.startRestream(restream);
    const backfills = (await runningBackfills(catalog)).filter(({ source }) => !held.has(source));
    for (const backfill of backfills) await engine.startBackfill(backfill);
    const groups = await groupsNeedingReview(catalog, maxOpenReviews);
    for (const group of groups) await engine.startReview(group);
    return { started: sources.size + restreams.length + backfills.length };
  };
}

/** Sources that were sent something of which no sync heard. */
async function sourcesToPlan({
  catalog,
  configuration,
}: ActivityDependencies): Promise<readonly string[]> {
  const unplanned = await sourcesWithUnplannedChunks(catalog, intakeLane);
  if (unplanned.length === 0) return [];
  const { pipelines } = await configuration.current();
  const inUse = new Set(Object.values(pipelines).map(({ source }) => source));
  for (const { source } of await listPaused(catalog)) inUse.delete(source);
  return unplanned.filter((source) => inUse.has(source));
}

export function createProbeDestinations(
  dependencies: ActivityDependencies,
  backups: Pick<BackupCheck, 'ofDestination'>,
): Activities['probeDestinations'] {
  return async function probeDestinations() {
    const states = await readDestinationStates(dependencies.catalog);
    await settleDdl(dependencies, states);
    const reopened = await Promise.all(states.map((row) => probe(dependencies, backups, row)));
    return { reopened: reopened.reduce((sum, count) => sum + count, 0) };
  };
}

/** How long a destination may take to say what became of changes of its tables. */
const ddlAnswerMs = 20_000;

/** What became of changes of tables whose process died in the middle. */
async function settleDdl(
  { catalog, destinations, signal }: ActivityDependencies,
  states: readonly DestinationState[],
): Promise<void> {
  const away = new Set(
    states.filter(({ state }) => state !== 'ok').map(({ destination }) => destination),
  );
  const asked = [...(await destinationsWithPlannedDdl(catalog)).difference(away)];
  const patience = AbortSignal.any([signal(), AbortSignal.timeout(ddlAnswerMs)]);
  // One that is locked or away is asked next time.
  await Promise.allSettled(
    asked.map(async (name) => {
      const { destination } = await destinations.open(name);
      await settlePlannedDdl(catalog, destination, { destination: name, signal: patience });
    }),
  );
}

async function probe(
  { catalog, destinations, signal }: ActivityDependencies,
  backups: Pick<BackupCheck, 'ofDestination'>,
  { destination, state }: DestinationState,
): Promise<number> {
  if (state !== 'ok') {
    try {
      const open = await destinations.open(destination);
      await open.destination.check(signal());
      await backups.ofDestination(destination, open); // it may be back from a backup
    } catch {
      return 0; // still away, whatever the reason: its deliveries wait, everything else goes on
    }
    await noteDestinationUp(catalog, destination);
  }
  // Also those that a batch parked between the note above and now.
  return reopenWaiting(catalog, destination);
}

export function createSweep(dependencies: ActivityDependencies): Activities['sweep'] {
  const forgetEventIds = createForgetEventIds(dependencies);
  return async function sweep() {
    await forgetEventIds().catch(() => undefined); // a destination that is away is asked next time
    const removedChunks = await sweepIntake(dependencies);
    return { removedFiles: removedChunks + (await sweepStaging(dependencies)) };
  };
}
