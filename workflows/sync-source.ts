import {
  condition,
  continueAsNew,
  ParentClosePolicy,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  startChild,
  upsertMemo,
  WorkflowIdReusePolicy,
  workflowInfo,
} from '@temporalio/workflow';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import type { Activities, RunnableBatch } from '../activities/contract.ts';
import { activityProfiles } from './activity-profiles.ts';
import { nudgeSignal, workflowIds, type BatchOutcome, type SyncSourceInput } from './messages.ts';
import { processBatch } from './process-batch.ts';
import { searchAttributes } from './search-attributes.ts';

const { planBatches } = proxyActivities<Activities>(activityProfiles.plan);
const { startReviews } = proxyActivities<Activities>(activityProfiles.brief);

const defaultWindow = 4;
const firstLookMs = 250;
const lastLookMs = 10_000;
const drainMs = 10_000;
/** Named in the result of a run. */
const listedStreams = 10;
const pausedNote = 'the pipeline is paused: `resume` plans what is new';

/**
 * Brings in what one source has, id `sync/<source>`: plans, keeps a window of deliveries in flight
 * for every destination, and ends once a plan made after the last nudge found nothing. Keeps no
 * state that matters: the plan is in the catalog, batches go on without it, `maintain` starts it
 * again.
 */
export async function syncSource({
  source,
  window = defaultWindow,
}: SyncSourceInput): Promise<void> {
  const flight = new BatchFlight(source);
  let nudged = false;
  let isPaused = false;
  setHandler(nudgeSignal, () => void (nudged = true), {
    description: 'New data may be there: plan once more before ending. Needs no input.',
  });

  for (;;) {
    flight.lookAnew(nudged);
    nudged = false;
    const { batches, lookAgainMs, paused = false } = await planBatches({ source, window });
    isPaused = paused;
    const started = await flight.start(batches);
    setCurrentDetails(`${flight.describe()}; ${flight.size} batches in flight`);
    if (flight.size === 0 && started === 0 && !nudged) {
      if (lookAgainMs === undefined) break;
      await condition(() => nudged, lookAgainMs);
      continue;
    }
    if (workflowInfo().continueAsNewSuggested) {
      await flight.drain();
      await startReviewsOf(flight);
      await continueAsNew<typeof syncSource>({ source, window });
    }
    await flight.change(() => nudged);
  }
  const result = isPaused ? `${flight.describe()}; ${pausedNote}` : flight.describe();
  setCurrentDetails(result);
  upsertMemo({ result });
  await startReviewsOf(flight);
}

async function startReviewsOf({ source, failed }: BatchFlight): Promise<void> {
  if (failed > 0) await startReviews({ source });
}

/** The batches that this run has in flight or gave up on. */
class BatchFlight {
  readonly source: string;
  /** Batches with the number of destinations they were started for. */
  readonly #running = new Map<string, number>();
  /** Terminated or failed workflows, not to be tried again in a tight loop: a nudge does it. */
  readonly #givenUp = new Set<string>();
  /** Those that ended since the last plan was asked for; it may still name them. */
  readonly #ended = new Set<string>();
  #elsewhere = 0;
  #looks = 0;
  readonly #streams = new Set<string>();
  #rows = 0;
  done = 0;
  failed = 0;

  constructor(source: string) {
    this.source = source;
  }

  get size(): number {
    return this.#running.size + this.#elsewhere;
  }

  /** One line for people: what the batches of this run brought in. */
  describe(): string {
    const names = [...this.#streams];
    const more = names.length > listedStreams ? `, ${names.length - listedStreams} more` : '';
    const streams = names.length === 0 ? 'nothing new' : names.slice(0, listedStreams).join(', ');
    const batches = `${this.done} ${this.done === 1 ? 'batch' : 'batches'}`;
    const counts = `${this.#rows} rows, ${this.failed} failed events`;
    return `**${this.source}** · ${streams}${more} → ${batches}: ${counts}`;
  }

  /** A plan is asked for now. */
  lookAnew(nudged: boolean): void {
    this.#ended.clear();
    if (nudged) this.#givenUp.clear();
  }

  async start(batches: readonly RunnableBatch[]): Promise<number> {
    let started = 0;
    this.#elsewhere = 0;
    const known = [this.#running, this.#givenUp, this.#ended];
    for (const batch of batches) {
      if (known.some((ids) => ids.has(batch.batchId))) continue;
      if (await this.#startOne(batch)) started += 1;
      else this.#elsewhere += 1;
    }
    if (started > 0) this.#looks = 0;
    return started;
  }

  /** Waits until a batch of ours ended, a nudge came, or it is time to look. */
  async change(nudged: () => boolean): Promise<void> {
    const changed = () => nudged() || this.#ended.size > 0;
    if (!this.#changesUnseen()) return condition(changed);
    this.#looks += 1;
    await condition(changed, Math.min(firstLookMs * 2 ** this.#looks, lastLookMs));
  }

  /** Those that take longer go on beside the next run, which finds them. */
  async drain(): Promise<void> {
    await condition(() => this.#running.size === 0, drainMs);
  }

  /** Batches of another run end without telling us; so does one of several deliveries of a batch. */
  #changesUnseen(): boolean {
    return this.#elsewhere > 0 || [...this.#running.values()].some((count) => count > 1);
  }

  async #startOne(batch: RunnableBatch): Promise<boolean> {
    const { batchId, destinations } = batch;
    try {
      const child = await startChild(processBatch, {
        workflowId: workflowIds.batch(batchId),
        args: [{ batchId, destinations }],
        workflowIdReusePolicy: WorkflowIdReusePolicy.ALLOW_DUPLICATE,
        parentClosePolicy: ParentClosePolicy.ABANDON,
        staticSummary: batch.summary,
        typedSearchAttributes: [
          { key: searchAttributes.source, value: this.source },
          { key: searchAttributes.batch, value: batchId },
          { key: searchAttributes.run, value: 'live' },
        ],
      });
      this.#running.set(batchId, destinations.length);
      void this.#follow(batchId, child.result());
      return true;
    } catch (error) {
      if (error instanceof WorkflowExecutionAlreadyStartedError) return false;
      throw error;
    }
  }

  async #follow(batchId: string, result: Promise<BatchOutcome>) {
    try {
      const { outcome, rowsLoaded, rowsFailed, streams = [] } = await result;
      if (outcome === 'stopped') this.#givenUp.add(batchId);
      this.failed += rowsFailed;
      this.#rows += rowsLoaded;
      for (const stream of streams) this.#streams.add(stream);
    } catch {
      this.#givenUp.add(batchId);
    }
    this.#running.delete(batchId);
    this.#ended.add(batchId);
    this.done += 1;
  }
}
