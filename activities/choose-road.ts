import { destinationModule, sourceModule } from '../connectors/registry.ts';
import type { CopyFormat } from '../core/destination.ts';
import { isPipelineError, type PipelineError } from '../core/errors.ts';
import { chooseRoad, commonFormat, type Road } from '../pipeline/batches/choose-road.ts';
import type { BatchRow, DeliveryRow } from '../store/catalog/batches.ts';
import { leaveTypedRoad, settleRoad } from '../store/catalog/roads.ts';
import { recordedEvents } from '../store/catalog/settle-backfilled.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { shortReason } from './stop-delivery.ts';

type Dependencies = Pick<ActivityDependencies, 'catalog' | 'configuration' | 'destinations'>;

/** The road of a batch, chosen on its first step and kept, whatever is configured later. */
export async function roadOf(
  dependencies: Dependencies,
  batch: BatchRow,
  deliveries: readonly DeliveryRow[],
): Promise<Road> {
  if (batch.road !== null) return batch.road;
  const road = await choose(dependencies, batch, deliveries);
  return settleRoad(dependencies.catalog, { batchId: batch.batchId, road });
}

async function choose(
  dependencies: Dependencies,
  { batchId, run, source, stream }: BatchRow,
  deliveries: readonly DeliveryRow[],
): Promise<Road> {
  const [delivery] = deliveries;
  if (delivery === undefined) return 'staged';
  const { destination } = delivery;
  const formats = await formatsOf(dependencies, { source, destination });
  // Most sources have none: they are asked no more.
  if (commonFormat(formats) === null) return 'staged';
  return chooseRoad({
    ...formats,
    run,
    stream,
    destinations: deliveries.length,
    hasRecords: await hasRecords(dependencies, { batchId, destination }),
  });
}

interface Ends {
  readonly source: string;
  readonly destination: string;
}

interface Formats {
  readonly given: readonly CopyFormat[];
  readonly taken: readonly CopyFormat[];
  readonly mayResend: boolean;
}

async function formatsOf(
  { configuration, destinations }: Dependencies,
  { source, destination }: Ends,
): Promise<Formats> {
  const { settings } = await configuration.source(source);
  const from = await sourceModule(settings.type);
  const to = await destinationModule(await destinations.typeOf(destination));
  return {
    given: from.copyFormats ?? [],
    taken: to.copyFormats ?? [],
    mayResend: from.mayResend ?? false,
  };
}

/** The one in which rows of a source go into a destination; null: they are configured anew. */
export async function copyFormatOf(
  dependencies: Dependencies,
  ends: Ends,
): Promise<CopyFormat | null> {
  return commonFormat(await formatsOf(dependencies, ends));
}

/** Whether new batches of streams of a source begin on the typed road. */
export async function beginsTyped(
  dependencies: Dependencies,
  { source, destinations }: { readonly source: string; readonly destinations: readonly string[] },
): Promise<boolean> {
  const [destination, ...others] = destinations;
  if (destination === undefined || others.length > 0) return false;
  const formats = await formatsOf(dependencies, { source, destination });
  return !formats.mayResend && commonFormat(formats) !== null;
}

/** Only a backfill meets events that were there before. */
async function hasRecords(
  { catalog }: Dependencies,
  at: { readonly batchId: string; readonly destination: string },
): Promise<boolean> {
  if (!at.batchId.startsWith('backfill/')) return false;
  for (const state of ['open', 'discarded'] as const) {
    if ((await recordedEvents(catalog, { ...at, state })).length > 0) return true;
  }
  return false;
}

export interface NeedsStaging {
  readonly outcome: 'needs-staging';
  readonly message: string;
}

/**
 * Whether only the staged road can deal with it: a row that does not fit, a table that is gone.
 * Whether the range is lost, or its lane stops, is for `extract` to find.
 */
export function leavesTypedRoad(error: unknown): error is PipelineError {
  return leaving.some((kind) => isPipelineError(error, kind));
}

const leaving = ['needs-staging', 'extract-lost', 'invalid-config'] as const;

/** Sends a batch to the staged road. */
export async function leaveForStaging(
  { catalog }: Pick<Dependencies, 'catalog'>,
  { batchId }: { readonly batchId: string },
  { message }: PipelineError,
): Promise<NeedsStaging> {
  await leaveTypedRoad(catalog, { batchId });
  return { outcome: 'needs-staging', message: shortReason(message) };
}
