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

interface DeliveryOutcome extends Pick<LoadResult, 'rowsLoaded' | 'rowsFailed'> {
  readonly destination: string;
  readonly outcome: 'settled' | 'waiting' | 'stopped';
}

/**
 * The life of one batch, id `batch/<batchId>`: extract once, then every destination at its own
 * pace. Holds references only. May run again at any time, for other destinations or the same: the
 * ledger, not this workflow, decides what is loaded.
 */
export async function processBatch(input: ProcessBatchInput): Promise<BatchOutcome> {
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
  let again: LoadResult['outcome'] | undefined;
  for (let round = 0; ; round += 1) {
    if (round > 1) await sleep(Math.min(1_000 * 2 ** round, longestPauseMs));
    note('schema');
    const schema = await syncSchema.executeWithOptions(
      { summary: `bring the tables of ${destination} in step` },
      [{ batchId, destination, renew: again === 'pin-outdated' }],
    );
    if (schema.outcome !== 'ready') return unloaded(destination, schema.outcome);
    note('mapping');
    const mapped = await mapBatch.executeWithOptions(
      { summary: `make the rows for ${destination}` },
      [{ batchId, destination, ...(again === 'files-lost' && { anew: true }) }],
    );
    if (mapped.outcome !== undefined) return unloaded(destination, mapped.outcome);
    note(`loading ${mapped.rows} rows, ${mapped.failed} failed events`);
    const { mapAttempt, loadManifest, generation } = mapped;
    const loaded = await load.executeWithOptions(
      { summary: `load into ${destination}: ${mapped.rows} rows, ${mapped.failed} failed events` },
      [{ batchId, destination, mapAttempt, loadManifest, generation }],
    );
    const { outcome, rowsLoaded, rowsFailed } = loaded;
    if (outcome === 'pin-outdated' || outcome === 'files-lost') {
      again = outcome;
      continue;
    }
    note(`${outcome}: ${rowsLoaded} rows, ${rowsFailed} failed events`);
    return { destination, outcome, rowsLoaded, rowsFailed };
  }
}

function unloaded(destination: string, outcome: DeliveryOutcome['outcome']): DeliveryOutcome {
  return { destination, outcome, rowsLoaded: 0, rowsFailed: 0 };
}

function describe({ source, streams, events }: ExtractResult): string {
  return `**${source}** · ${streams.slice(0, 5).join(', ')} · ${events} events`;
}

function summarize(extracted: ExtractResult, deliveries: readonly DeliveryOutcome[]): string {
  if (deliveries.length === 0) return `${describe(extracted)} → settled before`;
  const parts = deliveries.map(
    ({ destination, outcome, rowsLoaded, rowsFailed }) =>
      `${destination} ${outcome}: ${rowsLoaded} rows, ${rowsFailed} failed events`,
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
