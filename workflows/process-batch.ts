import {
  proxyActivities,
  setCurrentDetails,
  sleep,
  upsertMemo,
  upsertSearchAttributes,
} from '@temporalio/workflow';
import type { Activities, ExtractResult, LoadResult } from '../activities/contract.ts';
import { activityProfiles } from './activity-profiles.ts';
import type { BatchOutcome, ProcessBatchInput } from './messages.ts';
import { searchAttributes, toKeyword } from './search-attributes.ts';

const { extract, mapBatch, load } = proxyActivities<Activities>(activityProfiles.bulk);
const { syncSchema } = proxyActivities<Activities>(activityProfiles.plan);

/** Between attempts to bring a table in step that does not stay so. */
const longestPauseMs = 60_000;
/** So often pinning anew may change nothing: the answer that said what changed can be lost. */
const fruitlessRenewals = 2;

interface DeliveryOutcome extends Pick<LoadResult, 'rowsLoaded' | 'rowsFailed'> {
  readonly message?: string | undefined;
  readonly destination: string;
  readonly outcome: 'settled' | 'waiting' | 'stopped' | 'needs-staging';
}

/**
 * The life of one batch, id `batch/<batchId>`: extract once, then every destination at its own
 * pace. Holds references only. May run again at any time, for other destinations or the same: the
 * ledger, not this workflow, decides what is loaded.
 */
export async function processBatch(input: ProcessBatchInput): Promise<BatchOutcome> {
  for (;;) {
    const outcome = await takeRoad(input);
    if (outcome !== 'needs-staging') return outcome;
  }
}

/** From the extract to the end; or as far as the typed road goes with this batch. */
async function takeRoad(input: ProcessBatchInput): Promise<BatchOutcome | 'needs-staging'> {
  const { batchId } = input;
  setCurrentDetails('extracting');
  const extracted = await extract.executeWithOptions(
    { summary: 'read the range, stage and profile it' },
    [{ batchId }],
  );
  if (extracted.outcome === 'lost') {
    say(`**${extracted.source}** · lost: the source no longer has this range`);
    return { outcome: 'lost', rowsLoaded: 0, rowsFailed: 0 };
  }
  const destinations = extracted.destinations.filter(
    (destination) => input.destinations?.includes(destination) ?? true,
  );
  label({ ...extracted, destinations });
  const progress = new Map<string, string>();
  const deliveries = await Promise.all(
    destinations.map((destination) => deliver(batchId, destination, extracted, progress)),
  );
  if (deliveries.some(({ outcome }) => outcome === 'needs-staging')) return 'needs-staging';
  say(summarize(extracted, deliveries));
  const outcome = total(deliveries);
  if (outcome.rowsFailed > 0) {
    upsertSearchAttributes([{ key: searchAttributes.parked, value: outcome.rowsFailed }]);
  }
  return { ...outcome, streams: extracted.streams };
}

/** How it ended: in the details while a worker answers, in the memo for ever. */
function say(result: string): void {
  setCurrentDetails(result);
  upsertMemo({ result });
}

/** What was not known when the batch was planned. Several names share one attribute. */
function label({ source, streams, destinations }: ExtractResult): void {
  upsertSearchAttributes([
    { key: searchAttributes.source, value: source },
    { key: searchAttributes.stream, value: toKeyword(streams.join(', ')) },
    { key: searchAttributes.destination, value: toKeyword(destinations.join(', ')) },
  ]);
}

async function deliver(
  batchId: string,
  destination: string,
  extracted: ExtractResult,
  progress: Map<string, string>,
): Promise<DeliveryOutcome> {
  const note = (what: string) => {
    progress.set(destination, what);
    const lines = [...progress].map(([name, state]) => `- **${name}**: ${state}`);
    setCurrentDetails([describe(extracted), '', ...lines].join('\n'));
  };
  let before: LoadResult | undefined;
  let fruitless = 0;
  for (let round = 0; ; round += 1) {
    if (round > 1) await sleep(Math.min(1_000 * 2 ** round, longestPauseMs));
    note(describeRound(before));
    const renew = before?.outcome === 'pin-outdated';
    const schema = await syncSchema.executeWithOptions(
      { summary: `bring the tables of ${destination} in step` },
      [{ batchId, destination, renew }],
    );
    const { outcome, message } = schema;
    if (outcome !== 'ready') return unloaded(destination, { outcome, message }, note);
    if (renew) fruitless = schema.renewed === false ? fruitless + 1 : 0;
    const lastTry = fruitless >= fruitlessRenewals;
    const step = { batchId, destination, lastTry, before: before?.outcome, note };
    const loaded = await loadBy(extracted.road, step);
    if (loaded.outcome !== 'pin-outdated' && loaded.outcome !== 'files-lost') {
      return { ...loaded, outcome: loaded.outcome, destination };
    }
    before = loaded;
  }
}

function describeRound(before: LoadResult | undefined): string {
  return before?.message === undefined ? 'schema' : `schema, once more: ${before.message}`;
}

interface LoadStep {
  readonly batchId: string;
  readonly destination: string;
  readonly lastTry: boolean;
  /** Of the round before this one. */
  readonly before: LoadResult['outcome'] | undefined;
  readonly note: (what: string) => void;
}

function loadBy(road: ExtractResult['road'], step: LoadStep): Promise<LoadResult> {
  return road === 'typed' ? loadTyped(step) : mapAndLoad(step);
}

async function mapAndLoad(step: LoadStep): Promise<LoadResult> {
  const { batchId, destination, lastTry, before, note } = step;
  note('mapping');
  const mapped = await mapBatch.executeWithOptions(
    { summary: `make the rows for ${destination}` },
    [{ batchId, destination, ...(before === 'files-lost' && { anew: true }) }],
  );
  const { outcome, message } = mapped;
  if (outcome !== undefined) return unloaded(destination, { outcome, message }, note);
  note(`loading ${mapped.rows} rows, ${mapped.failed} failed events`);
  const { mapAttempt, loadManifest, generation } = mapped;
  const loaded = await load.executeWithOptions(
    { summary: `load into ${destination}: ${mapped.rows} rows, ${mapped.failed} failed events` },
    [
      {
        batchId,
        destination,
        mapAttempt,
        loadManifest,
        generation,
        ...(lastTry && { lastTry }),
      },
    ],
  );
  noteLoaded(loaded, note);
  return loaded;
}

async function loadTyped({ batchId, destination, lastTry, note }: LoadStep): Promise<LoadResult> {
  note('loading from the source');
  const nothingMapped = { mapAttempt: '', loadManifest: '' };
  const loaded = await load.executeWithOptions(
    { summary: `copy the range from its source into ${destination}` },
    [
      {
        batchId,
        destination,
        ...nothingMapped,
        road: 'typed',
        ...(lastTry && { lastTry }),
      },
    ],
  );
  noteLoaded(loaded, note);
  return loaded;
}

function noteLoaded(loaded: LoadResult, note: LoadStep['note']): void {
  const { outcome, message, rowsLoaded, rowsFailed } = loaded;
  note(message ?? `${outcome}: ${rowsLoaded} rows, ${rowsFailed} failed events`);
}

function unloaded(
  destination: string,
  { outcome, message }: Pick<DeliveryOutcome, 'outcome' | 'message'>,
  note: (what: string) => void,
): DeliveryOutcome {
  if (message !== undefined) note(`${outcome}: ${message}`);
  return { destination, outcome, message, rowsLoaded: 0, rowsFailed: 0 };
}

function describe({ source, streams, events, road }: ExtractResult): string {
  const size = road === 'typed' ? 'as its source has it' : `${events} events`;
  return `**${source}** · ${streams.slice(0, 5).join(', ')} · ${size}`;
}

function summarize(extracted: ExtractResult, deliveries: readonly DeliveryOutcome[]): string {
  if (deliveries.length === 0) return `${describe(extracted)} → settled before`;
  const parts = deliveries.map(
    ({ destination, outcome, message, rowsLoaded, rowsFailed }) =>
      `${destination} ${outcome}: ${message ?? `${rowsLoaded} rows, ${rowsFailed} failed events`}`,
  );
  return `${describe(extracted)} → ${parts.join('; ')}`;
}

function total(deliveries: readonly DeliveryOutcome[]): BatchOutcome {
  const has = (outcome: string) => deliveries.some((delivery) => delivery.outcome === outcome);
  return {
    outcome: has('stopped') ? 'stopped' : has('waiting') ? 'waiting' : 'settled',
    rowsLoaded: deliveries.reduce((sum, { rowsLoaded }) => sum + rowsLoaded, 0),
    rowsFailed: deliveries.reduce((sum, { rowsFailed }) => sum + rowsFailed, 0),
  };
}
