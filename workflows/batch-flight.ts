import {
  condition,
  ParentClosePolicy,
  startChild,
  WorkflowIdReusePolicy,
} from '@temporalio/workflow';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import type { RunnableBatch } from '../activities/contract.ts';
import { workflowIds, type BatchOutcome } from './messages.ts';
import { processBatch } from './process-batch.ts';
import { searchAttributes } from './search-attributes.ts';

const firstLookMs = 250;
const lastLookMs = 10_000;
const drainMs = 10_000;
/** Named in the result of a run. */
const listedStreams = 10;

/** The batches that a workflow has in flight or gave up on. */
export class BatchFlight {
  readonly source: string;
  readonly #run: 'live' | 'backfill';
  /** Batches with the number of destinations they were started for. */
  readonly #running = new Map<string, number>();
  /** Terminated or failed workflows, not to be tried again in a tight loop: a nudge does it. */
  readonly #givenUp = new Set<string>();
  /** Those that ended since the last plan was asked for; it may still name them. */
  readonly #ended = new Set<string>();
  #elsewhere = 0;
  /** The last plan named a batch that ended while it was made: it may have more deliveries. */
  #isStale = false;
  #looks = 0;
  readonly #streams = new Set<string>();
  #rows = 0;
  done = 0;
  failed = 0;

  constructor(source: string, run: 'live' | 'backfill' = 'live') {
    this.source = source;
    this.#run = run;
  }

  /** Batches that this workflow started and whose end it has not heard of, or that others run. */
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
    this.#isStale = batches.some(({ batchId }) => this.#ended.has(batchId));
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

  /** Nothing is on its way, and the last plan had nothing to begin. */
  isIdle(started: number): boolean {
    return this.size === 0 && started === 0 && !this.#isStale;
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
          { key: searchAttributes.run, value: this.#run },
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
