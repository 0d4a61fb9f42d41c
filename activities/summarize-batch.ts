import type { RunnableRow } from '../store/catalog/batches.ts';
import type { RunnableBatch } from './contract.ts';

/** A batch that should run, with one line for people. */
export function summarizeBatch(batch: RunnableRow): RunnableBatch {
  const KiB = batch.plannedBytes / 1024;
  const size = KiB < 1024 ? `${KiB.toFixed(1)} KiB` : `${(KiB / 1024).toFixed(1)} MiB`;
  const stream = batch.stream === null ? '' : ` · ${batch.stream}`;
  const summary = `${batch.source}${stream} · ${size} from ${batch.lane}`.slice(0, 300);
  const { batchId, destinations } = batch;
  return { batchId, destinations, summary };
}
