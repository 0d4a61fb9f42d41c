import {
  condition,
  continueAsNew,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  upsertMemo,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import { ApplicationFailure } from '@temporalio/common';
import type { Activities, BackfillOrder, BackfillStatus } from '../activities/contract.ts';
import { activityProfiles } from './activity-profiles.ts';
import { backfillExample, maxConcurrency, readConcurrency, readOrder } from './backfill-order.ts';
import { BatchFlight } from './batch-flight.ts';
import {
  pauseSignal,
  progressQuery,
  resumeSignal,
  setConcurrencyUpdate,
  type BackfillProgress,
  type BackfillSourceInput,
} from './messages.ts';
import { searchAttributes, toKeyword } from './search-attributes.ts';

const { beginBackfill } = proxyActivities<Activities>(activityProfiles.plan);
const { backfillStatus, tuneBackfill, startReviews } = proxyActivities<Activities>(
  activityProfiles.brief,
);

/** How often a paused backfill asks the catalog whether somebody let it go on there. */
const lookWhilePausedMs = 60_000;

/**
 * Reads a part of a source again, id `backfill/<source>/<requestId>`: plans it (once, in the
 * catalog), then keeps a few batches in flight until all are settled, or the rest waits for an
 * absent destination. Keeps no state that matters: terminated by hand, `maintain` starts it again.
 */
export async function backfillSource(input?: BackfillSourceInput): Promise<BackfillProgress> {
  const order = readOrder(input, workflowInfo().workflowId);
  const run = new BackfillRun(order);
  setHandler(progressQuery, () => run.progress(), {
    description: 'How far it is: batches planned, settled and in flight, rows loaded. No input.',
  });
  introduce(order);
  await run.begin();
  while (await run.goOn()) {
    if (workflowInfo().continueAsNewSuggested && !run.isAsked) {
      await run.leave();
      await continueAsNew<typeof backfillSource>(toInput(order));
    }
    await run.change();
  }
  await run.end();
  return run.progress();
}

/** One workflow run of a backfill: the catalog's view of it, and the batches in flight. */
class BackfillRun {
  readonly #order: BackfillOrder;
  readonly #flight: BatchFlight;
  readonly #wishes = new Wishes();
  #status: BackfillStatus | undefined;
  #rests = false;

  constructor(order: BackfillOrder) {
    this.#order = order;
    this.#flight = new BatchFlight(order.source, 'backfill');
  }

  /** An operator asked for something that the catalog does not know yet. */
  get isAsked(): boolean {
    return this.#wishes.any;
  }

  progress(): BackfillProgress {
    return toProgress(this.#status, this.#flight.size);
  }

  async begin(): Promise<void> {
    this.#status = await beginBackfill(this.#order);
    const { refused } = this.#status;
    if (refused === undefined) return;
    setCurrentDetails(`**refused**: ${refused}`);
    throw ApplicationFailure.nonRetryable(refused, 'refused');
  }

  /** Starts what should run. False: all is settled, or what is left waits for somebody. */
  async goOn(): Promise<boolean> {
    const { state = 'running', paused = false, runnable = [] } = this.#status ?? {};
    this.#flight.lookAnew(false);
    const started = await this.#flight.start(runnable);
    this.#say();
    this.#rests = this.#flight.size === 0 && started === 0 && !this.isAsked;
    return state !== 'settled' && (paused || !this.#rests);
  }

  /** Waits until a batch ended or somebody asked for something; then looks how it stands. */
  async change(): Promise<void> {
    const { requestId } = this.#order;
    const isAsked = () => this.isAsked;
    if (this.#rests) await condition(isAsked, lookWhilePausedMs);
    else if (!this.isAsked) await this.#flight.change(isAsked);
    if (this.isAsked) await tuneBackfill({ requestId, ...this.#wishes.take() });
    this.#status = await backfillStatus({ requestId });
  }

  /** Batches that take longer go on beside the next run, which finds them. */
  async leave(): Promise<void> {
    await this.#flight.drain();
    await this.#review();
  }

  /** The last batch settles before its own workflow ends; its failures are counted then. */
  async end(): Promise<void> {
    if (this.#flight.size > 0) await this.#flight.drain();
    upsertMemo({ result: this.#say() });
    await this.#review();
  }

  #say(): string {
    if (!this.#status) return '';
    const text = describe(this.#order, this.#status, this.#flight.size);
    setCurrentDetails(text);
    return text;
  }

  async #review(): Promise<void> {
    if (this.#flight.failed > 0) await startReviews({ source: this.#order.source });
  }
}

/** What an operator asked for and the catalog does not know yet. */
class Wishes {
  #paused: boolean | undefined;
  #concurrency: number | undefined;

  constructor() {
    setHandler(pauseSignal, () => void (this.#paused = true), {
      description: 'Hold this backfill: batches on their way finish. Needs no input.',
    });
    setHandler(resumeSignal, () => void (this.#paused = false), {
      description: 'Let a paused backfill go on. Needs no input.',
    });
    const set = (argument: unknown) => ({
      concurrency: (this.#concurrency = readConcurrency(argument)),
    });
    setHandler(setConcurrencyUpdate, set, {
      validator: (argument) => void readConcurrency(argument),
      description: `Batches at once into one destination, 1 to ${maxConcurrency}: {"concurrency": 4}`,
    });
  }

  get any(): boolean {
    return this.#paused !== undefined || this.#concurrency !== undefined;
  }

  take(): { readonly paused?: boolean; readonly concurrency?: number } {
    const [paused, concurrency] = [this.#paused, this.#concurrency];
    this.#paused = this.#concurrency = undefined;
    return {
      ...(paused !== undefined && { paused }),
      ...(concurrency !== undefined && { concurrency }),
    };
  }
}

/** Also where it was started from a form, which knows nothing of ours. */
function introduce({ source, stream }: BackfillOrder): void {
  upsertSearchAttributes([
    { key: searchAttributes.source, value: source },
    { key: searchAttributes.run, value: 'backfill' },
    ...(stream === undefined ? [] : [{ key: searchAttributes.stream, value: toKeyword(stream) }]),
  ]);
  upsertMemo({ howToStartOne: backfillExample });
  setCurrentDetails('planning');
}

function toInput({ requestId: _id, ...input }: BackfillOrder): BackfillSourceInput {
  return input;
}

function toProgress(status: BackfillStatus | undefined, inFlight: number): BackfillProgress {
  const { runnable: _batches, paused, state, ...counts } = status ?? nothingPlanned;
  const { concurrency, batches, settled, lost } = counts;
  const { rowsLoaded, rowsDuplicate, rowsSuperseded, rowsFailed } = counts;
  const rows = { rowsLoaded, rowsDuplicate, rowsSuperseded, rowsFailed };
  return {
    state: paused && state === 'running' ? 'paused' : state,
    concurrency,
    batches,
    settled,
    lost,
    inFlight,
    ...rows,
  };
}

const nothingPlanned = {
  state: 'planning',
  paused: false,
  concurrency: 0,
  batches: 0,
  settled: 0,
  lost: 0,
  rowsLoaded: 0,
  rowsDuplicate: 0,
  rowsSuperseded: 0,
  rowsFailed: 0,
  runnable: [],
} as const;

/** One line for people. */
function describe(
  { source, stream }: BackfillOrder,
  status: BackfillStatus,
  inFlight: number,
): string {
  const { batches, settled, lost, waiting, stopped } = status;
  const { rowsLoaded, rowsDuplicate, rowsSuperseded, rowsFailed } = status;
  const parts = [
    `${settled} of ${batches} batches`,
    ...(inFlight > 0 ? [`${inFlight} in flight`] : []),
    ...(lost > 0 ? [`${lost} gone from the source`] : []),
    ...(waiting > 0 ? [`${waiting} deliveries wait for their destination`] : []),
    ...(stopped > 0 ? [`${stopped} deliveries stand still`] : []),
    `${rowsLoaded} rows loaded, ${rowsDuplicate} were there, ${rowsSuperseded} were older`,
    `${rowsFailed} failed events`,
  ];
  const held = status.paused && status.state === 'running' ? ' · **paused**: signal `resume`' : '';
  const name = stream === undefined ? source : `${source}.${stream}`;
  return `**${name}** → ${parts.join(', ')}${held}`;
}
