import { failpoint } from '../core/failpoints.ts';
import { markExtractRemoved, removableExtracts, deadAttempts } from '../store/catalog/retention.ts';
import { stagingKey } from '../store/staging/names.ts';
import type { ActivityDependencies } from './dependencies.ts';

const atATime = 200;
/** Files of an attempt that nobody names yet may still be written: leave them alone for a while. */
const youngMs = 60 * 60_000;

/**
 * Removes staged extracts of settled batches beyond the retention time or the size cap, oldest
 * first, and files of attempts that lost. Returns how many extracts and attempts went.
 */
export async function sweepStaging(dependencies: ActivityDependencies): Promise<number> {
  const { catalog, settings } = dependencies;
  const settledBefore = new Date(Date.now() - settings.keepExtractsMs);
  let removed = await removeExtracts(
    dependencies,
    await removableExtracts(catalog, { settledBefore, limit: atATime }),
  );
  removed += await removeBeyondCap(dependencies);
  return removed + (await removeDeadAttempts(dependencies));
}

type Removable = Awaited<ReturnType<typeof removableExtracts>>;

async function removeExtracts(
  { catalog, staging }: ActivityDependencies,
  extracts: Removable,
): Promise<number> {
  for (const { batchId, generation } of extracts) {
    await staging.delete(`extracts/${stagingKey(batchId)}`);
    await failpoint('sweep-middle');
    await markExtractRemoved(catalog, { batchId, generation });
  }
  return extracts.length;
}

/** Settled extracts are kept for convenience: beyond the cap the oldest go before their time. */
async function removeBeyondCap(dependencies: ActivityDependencies): Promise<number> {
  const { catalog, staging, settings } = dependencies;
  const files = await staging.list('extracts');
  let excess = files.reduce((sum, { bytes }) => sum + bytes, 0) - settings.stagingCapBytes;
  if (excess <= 0) return 0;
  const sizes = new Map(files.map(({ name, bytes }) => [name, bytes]));
  const settled = await removableExtracts(catalog, { settledBefore: new Date(), limit: atATime });
  const chosen = [];
  for (const extract of settled) {
    if (excess <= 0) break;
    excess -= sizes.get(stagingKey(extract.batchId)) ?? 0;
    chosen.push(extract);
  }
  return removeExtracts(dependencies, chosen);
}

async function removeDeadAttempts({ catalog, staging }: ActivityDependencies): Promise<number> {
  let removed = 0;
  const before = Date.now() - youngMs;
  for (const { name: key, changedAt } of await staging.list('extracts')) {
    if (changedAt > before) continue;
    const attempts = (await staging.list(`extracts/${key}`)).filter(
      (file) => file.changedAt < before,
    );
    const dead = await deadAttempts(catalog, { key, attempts: attempts.map(({ name }) => name) });
    for (const attempt of dead) await staging.delete(`extracts/${key}/${attempt}`);
    removed += dead.length;
  }
  return removed;
}
