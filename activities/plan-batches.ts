import { isPipelineError, PipelineError } from '../core/errors.ts';
import { failpoint } from '../core/failpoints.ts';
import { failurePolicies, type FailureKind } from '../core/failures.ts';
import type { LanePlan, ObservedLane, PlanLimits, ReplayableSource } from '../core/source.ts';
import { batchIdOf } from '../pipeline/batches/batch-id.ts';
import { batchLimits } from '../pipeline/batches/batch-limits.ts';
import type { Catalog } from '../store/catalog/catalog.ts';
import { listLost, listRunnable, type RunnableRow } from '../store/catalog/batches.ts';
import {
  forgetUnread,
  insertLane,
  listLanes,
  restoreLane,
  resumeLane,
  saveMemo,
  stopLane,
  type LaneRow,
} from '../store/catalog/lanes.ts';
import { reopenLost } from '../store/catalog/deliveries.ts';
import { currentMappings } from '../store/catalog/mappings.ts';
import { isPaused } from '../store/catalog/pauses.ts';
import { isRefreshDue, recordPlan } from '../store/catalog/plans.ts';
import { leftTypedRoad } from '../store/catalog/roads.ts';
import { findWantedSync, syncDone, type WantedSync } from '../store/catalog/wanted-syncs.ts';
import type { BackupCheck } from './backup-check.ts';
import { beginsTyped } from './choose-road.ts';
import type { Activities, PlanInput, PlanResult } from './contract.ts';
import type { ActivityDependencies, ConfiguredSource } from './dependencies.ts';
import { summarizeBatch } from './summarize-batch.ts';

type Dependencies = Pick<
  ActivityDependencies,
  'catalog' | 'configuration' | 'destinations' | 'openSource' | 'settings' | 'staging' | 'signal'
>;

export function createPlanBatches(
  dependencies: Dependencies,
  backups: Pick<BackupCheck, 'beforePlanning'>,
): Activities['planBatches'] {
  const { catalog, configuration } = dependencies;
  return async function planBatches(input: PlanInput): Promise<PlanResult> {
    const { source, window } = input;
    const configured = await configuration.source(source);
    if (await backups.beforePlanning(configured)) return endSync(dependencies, source);
    const planned = await listRunnable(catalog, { source, window });
    if (input.isPlanned || isFull(planned, configured, window)) {
      return { batches: planned.map(summarizeBatch) };
    }
    if (await isPaused(catalog, source)) {
      // Resuming wants a sync of its own.
      if (planned.length === 0) await endSync(dependencies, source);
      return { batches: planned.map(summarizeBatch), paused: true };
    }
    return planAnew(dependencies, configured, input);
  };
}

async function planAnew(
  dependencies: Dependencies,
  configured: ConfiguredSource,
  { source, window, askedAt }: PlanInput,
): Promise<PlanResult> {
  const { catalog } = dependencies;
  const wanted = await findWantedSync(catalog, source);
  const askedAgoMs = agoOf(askedAt, wanted);
  const [planning] = await Promise.allSettled([planSource(dependencies, configured, askedAgoMs)]);
  // What is planned runs, also when the source, or one lane of it, cannot be planned now.
  const batches = (await listRunnable(catalog, { source, window })).map(summarizeBatch);
  if (planning.status === 'rejected') {
    if (batches.length > 0) return { batches };
    throw planning.reason;
  }
  const { lookAgainMs } = planning.value;
  const isAll = planning.value.isAll || (batches.length === 0 && lookAgainMs === undefined);
  if (isAll && wanted !== null) await syncDone(catalog, source, wanted.at);
  return { batches, isAll, ...(lookAgainMs !== undefined && { lookAgainMs }) };
}

/** The source is held, or paused: nothing is left to do until a person lets it go on. */
async function endSync(
  { catalog }: Pick<Dependencies, 'catalog'>,
  source: string,
): Promise<PlanResult> {
  const wanted = await findWantedSync(catalog, source);
  if (wanted !== null) await syncDone(catalog, source, wanted.at);
  return { batches: [] };
}

/** How long ago somebody asked last: a person, whose wish is a row, or a schedule, or a nudge. */
function agoOf(askedAt: number | undefined, wanted: WantedSync | null): number | undefined {
  if (askedAt === undefined) return undefined;
  const agoMs = Math.max(0, Date.now() - askedAt);
  return wanted === null ? agoMs : Math.min(agoMs, wanted.agoMs);
}

/** Every destination has as much on its way as it may: a plan would bring nothing that can begin. */
function isFull(
  planned: readonly RunnableRow[],
  { pipeline }: ConfiguredSource,
  window: number,
): boolean {
  const onTheWay = (name: string) =>
    planned.filter(({ destinations }) => destinations.includes(name)).length;
  return pipeline?.destinations.every((name) => onTheWay(name) >= window) ?? false;
}

/** What is known of a source after it was planned. */
type Planned = Required<Pick<PlanResult, 'isAll'>> & Pick<PlanResult, 'lookAgainMs'>;

async function planSource(
  dependencies: Dependencies,
  configured: ConfiguredSource,
  askedAgoMs: number | undefined,
): Promise<Planned> {
  const { catalog, openSource, signal } = dependencies;
  const destinations = configured.pipeline?.destinations;
  if (destinations === undefined) return { isAll: true };
  await refuseWithoutSpace(dependencies);
  await using source = await openSource(configured);
  const known = new Map((await listLanes(catalog, configured.name)).map((row) => [row.lane, row]));
  const observed = await source.lanes(
    [...known.values()].map(({ lane, head, memo }) => ({ name: lane, head, memo })),
    signal(),
  );
  const planner = new LanePlanner(dependencies, source, { ...configured, askedAgoMs });
  for (const lane of observed) await planner.plan(lane, known.get(lane.name));
  const seen = new Set(observed.map(({ name }) => name));
  await resumeGone(
    dependencies,
    [...known.values()].filter(({ lane }) => !seen.has(lane)),
  );
  await reopenFound(dependencies, source, configured.name);
  planner.throwFirstFault();
  const { isAll, lookAgainMs } = planner;
  return {
    isAll: isAll && lookAgainMs === undefined,
    ...(lookAgainMs !== undefined && { lookAgainMs }),
  };
}

/** Lost ranges that a plan looks for again. */
const lostLookedFor = 100;

/** What was lost and is back drains without a person. */
async function reopenFound(
  { catalog, signal }: Dependencies,
  source: ReplayableSource,
  name: string,
): Promise<void> {
  if (!source.holds) return;
  for (const batch of await listLost(catalog, { source: name, limit: lostLookedFor })) {
    const { batchId, from, to, plannedBytes: bytes } = batch;
    const lane = { name: batch.lane, memo: batch.memo };
    if (!(await source.holds({ from, to, bytes }, { lane, signal: signal() }))) continue;
    await reopenLost(catalog, name, [batchId]);
  }
}

/** What stopped a lane is gone with what it was read from. */
async function resumeGone(
  { catalog }: Pick<Dependencies, 'catalog'>,
  gone: readonly LaneRow[],
): Promise<void> {
  for (const row of gone) {
    if (row.unread !== null) await forgetUnread(catalog, row);
    if (!isHeldBack(row)) await resumeLane(catalog, row);
  }
}

async function refuseWithoutSpace({ staging, settings }: Dependencies): Promise<void> {
  const free = await staging.freeBytes();
  if (free >= settings.minFreeBytes) return;
  const [have, need] = [free, settings.minFreeBytes].map((bytes) => Math.round(bytes / 2 ** 20));
  throw new PipelineError(
    'staging-unavailable',
    `planning waits: ${have} MiB are free where batches are staged, ${need} MiB are needed; free some space`,
  );
}

/** Plans lane after lane; a fault of one never keeps the others from being planned. */
class LanePlanner {
  readonly #dependencies: Dependencies;
  readonly #source: ReplayableSource;
  readonly #name: string;
  readonly #destinations: readonly string[];
  readonly #everyMs: number | undefined;
  readonly #askedAgoMs: number | undefined;
  #mapped: Set<string> | undefined;
  #typed: Promise<boolean> | undefined;
  #fault: unknown;
  /** Every lane that was planned is planned to what was asked for. */
  isAll = true;
  /** The soonest time at which some lane may have more. */
  lookAgainMs: number | undefined;

  constructor(
    dependencies: Dependencies,
    source: ReplayableSource,
    { name, pipeline, askedAgoMs }: ConfiguredSource & { readonly askedAgoMs: number | undefined },
  ) {
    this.#dependencies = dependencies;
    this.#source = source;
    this.#name = name;
    this.#destinations = pipeline?.destinations ?? [];
    this.#everyMs = pipeline?.everyMs;
    this.#askedAgoMs = askedAgoMs;
  }

  async plan(lane: ObservedLane, known: LaneRow | undefined): Promise<void> {
    const { catalog } = this.#dependencies;
    if (isHeldBack(known) || !(await this.#isDue(lane))) return;
    try {
      if (!(await this.#mayEnter(lane, known))) return;
      await this.#planLane(lane, known);
      if (known?.state === 'stopped')
        await resumeLane(catalog, { source: this.#name, lane: lane.name });
    } catch (error) {
      if (isPipelineError(error) && stopsLane(error.kind)) {
        const { kind, message } = error;
        await stopLane(catalog, { source: this.#name, lane: lane.name, kind, message });
      } else this.#fault ??= error;
    }
  }

  async #isDue({ name: lane, whole = false }: ObservedLane): Promise<boolean> {
    if (!whole) return true;
    const at = { source: this.#name, lane, everyMs: this.#everyMs };
    return isRefreshDue(this.#dependencies.catalog, at);
  }

  async #mayEnter(lane: ObservedLane, known: LaneRow | undefined): Promise<boolean> {
    return known !== undefined || enterLane(this.#dependencies.catalog, this.#name, lane);
  }

  throwFirstFault(): void {
    if (this.#fault !== undefined) throw this.#fault;
  }

  async #planLane(lane: ObservedLane, known: LaneRow | undefined): Promise<void> {
    const { catalog, signal } = this.#dependencies;
    const at = { source: this.#name, lane: lane.name };
    const from = known?.head ?? lane.start;
    const limits = await this.#limits(lane);
    const found = await this.#source.plan(lane, from, limits, signal());
    const { ranges, memo, unread } = found;
    this.#note(found);
    if (ranges.length === 0) {
      if (!isNoted(found, known)) {
        await saveMemo(catalog, { ...at, memo, expectedHead: from, unread });
      }
      if (found.stop !== undefined) throw new PipelineError('position-corrupt', found.stop);
      return;
    }
    if (known?.state === 'stopped') await resumeLane(catalog, at);
    const planned = ranges.map((range) => ({
      ...range,
      batchId: batchIdOf({ run: 'live', ...at, from: range.from, to: range.to }),
    }));
    const { stream, whole } = lane;
    const destinations = this.#destinations;
    const plan = { ...at, stream, whole, from, memo, unread, ranges: planned, destinations };
    await failpoint('batch-chosen');
    // Another planner was first, and may have cut before we were asked.
    if (!(await recordPlan(catalog, plan))) this.isAll = false;
    await failpoint('plan-committed');
  }

  #note({ ranges, isAll, lookAgainMs }: LanePlan): void {
    if (ranges.length > 0 && !isAll) this.isAll = false;
    if (lookAgainMs === undefined) return;
    this.lookAgainMs = Math.min(lookAgainMs, this.lookAgainMs ?? lookAgainMs);
  }

  async #limits({ name: lane, stream }: ObservedLane): Promise<PlanLimits> {
    const { catalog, settings } = this.#dependencies;
    const { maxBatchBytes: maxBytes, maxBatchRecords: maxRecords } = settings;
    const isTyped = stream !== undefined && (await this.#isTyped());
    const facts = {
      isMapped: stream === undefined || (await this.#isMapped(stream)),
      mayCopy: isTyped && !(await leftTypedRoad(catalog, { source: this.#name, lane })),
    };
    return { ...batchLimits(facts, { maxBytes, maxRecords }), askedAgoMs: this.#askedAgoMs };
  }

  #isTyped(): Promise<boolean> {
    const ends = { source: this.#name, destinations: this.#destinations };
    this.#typed ??= beginsTyped(this.#dependencies, ends);
    return this.#typed;
  }

  /** In some destination: one that is away must not keep the batches of the others small. */
  async #isMapped(stream: string): Promise<boolean> {
    if (!this.#mapped) {
      const { catalog } = this.#dependencies;
      const source = this.#name;
      const perDestination = await Promise.all(
        this.#destinations.map((destination) => currentMappings(catalog, { source, destination })),
      );
      this.#mapped = new Set(perDestination.flat().map((mapping) => mapping.stream));
    }
    return this.#mapped.has(stream);
  }
}

/**
 * False where the lane is not new, but its position is gone: whatever else plans meanwhile, a
 * person hears of it before it goes on.
 */
async function enterLane(
  catalog: Catalog,
  source: string,
  { name: lane, stream, start, memo }: ObservedLane,
): Promise<boolean> {
  const message = `the position of lane ${lane} was gone from the catalog, its batches were not: nothing was planned; "sync" goes on behind the newest one ("state show" says where that is, "state set" moves it)`;
  const stop = { kind: 'position-corrupt', message } as const;
  if (await restoreLane(catalog, { source, lane, stream, stop })) return false;
  await insertLane(catalog, { source, lane, stream, start, memo });
  return true;
}

/** The catalog has it all already. */
function isNoted({ memo, unread }: LanePlan, known: LaneRow | undefined): boolean {
  return memo === known?.memo && unread?.message === known.unread?.message;
}

/** A wrong setting holds up the files that it concerns, nothing else. */
function stopsLane(kind: FailureKind): boolean {
  return failurePolicies[kind].action === 'stop' || kind === 'invalid-config';
}

/** Held back until a person decides; other stops are looked at again, the file may have changed. */
function isHeldBack(lane: LaneRow | undefined): boolean {
  return (
    lane?.state === 'paused' || (lane?.state === 'stopped' && lane.stopKind === 'ledger-conflict')
  );
}
