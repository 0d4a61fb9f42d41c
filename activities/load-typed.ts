import type { LedgerRow } from '../core/destination.ts';
import { must, PipelineError } from '../core/errors.ts';
import type { CopyContext } from '../core/source.ts';
import { loadTyped } from '../pipeline/batches/load-typed.ts';
import { newAttempt } from './attempts.ts';
import { copyFormatOf } from './choose-road.ts';
import type { OpenDestination } from './dependencies.ts';
import { readPinned, toRequest, type Loading } from './load-request.ts';

/**
 * Loads a batch by the typed road: from the source into the destination inside its transaction.
 * @throws PipelineError `needs-staging` where it has to leave that road
 */
export async function loadFromSource(
  loading: Loading,
  { destination }: OpenDestination,
): Promise<LedgerRow> {
  const { dependencies, batch, input } = loading;
  const { configuration, openSource, progress, signal } = dependencies;
  const stream = must(batch.stream, 'the stream of the batch');
  const ends = { source: batch.source, destination: input.destination };
  const format = await copyFormatOf(dependencies, ends);
  // Another attempt has left this road, or what is configured now has no common format.
  if (batch.road !== 'typed' || !(stream in loading.pins) || format === null) {
    throw new PipelineError('needs-staging', 'the batch takes the staged road by now');
  }
  const pinned = await readPinned(loading, stream);
  const context: CopyContext = {
    format,
    mapping: pinned.mapping,
    batchId: batch.batchId,
    lane: { name: batch.lane, memo: batch.memo },
    signal: signal(),
  };
  await using source = await openSource(await configuration.source(batch.source));
  const range = { from: batch.from, to: batch.to, bytes: batch.plannedBytes };
  return await loadTyped(
    destination,
    {
      request: toRequest(loading, [pinned.mapping], {
        loadAttempt: newAttempt(),
        extractSha256: '',
      }),
      rows: {
        ...pinned,
        format,
        read: () => must(source.copyRows?.(range, context), 'copyRows of the source'),
      },
    },
    { onProgress: progress.report },
  );
}
