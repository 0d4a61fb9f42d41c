import { intakeLane, intakePosition } from '../connectors/kit/intake-source.ts';
import { sourceModule } from '../connectors/registry.ts';
import {
  forgetUnparsedBodies,
  lowestChunks,
  removeSettledChunks,
} from '../store/catalog/intake-chunks.ts';
import type { ActivityDependencies } from './dependencies.ts';

/** Batches whose chunks go in one sweep. */
const atATime = 50;
const unparsedMs = 30 * 24 * 3_600_000;

/**
 * Removes chunks that nobody needs: planned, settled by every destination, and kept for the
 * retention time since, or less where they take up more than half of what the source may have.
 */
export async function sweepIntake(dependencies: ActivityDependencies): Promise<number> {
  const { catalog } = dependencies;
  await forgetUnparsedBodies(catalog, unparsedMs);
  let removed = 0;
  for (let batches = 0; batches < atATime; batches += 1) {
    const before = removed;
    for (const lowest of await lowestChunks(catalog)) {
      removed += await removeSettledChunks(catalog, {
        source: lowest.source,
        lane: intakeLane,
        from: intakePosition(lowest.chunk),
        settledBefore: await settledBefore(dependencies, lowest),
      });
    }
    if (removed === before) break;
  }
  return removed;
}

async function settledBefore(
  { configuration, settings }: ActivityDependencies,
  { source, bytes }: { readonly source: string; readonly bytes: number },
): Promise<Date> {
  const { sources } = await configuration.current();
  const { type, ...connector } = sources[source] ?? {};
  const module = typeof type === 'string' ? await sourceModule(type) : undefined;
  const rules = module?.intakeRules?.(module.settings.parse(connector), source);
  const isCrowded = rules !== undefined && bytes > rules.quotaBytes / 2;
  return new Date(Date.now() - (isCrowded ? 0 : settings.keepExtractsMs));
}
