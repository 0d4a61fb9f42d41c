import { activityInfo, cancellationSignal } from '@temporalio/activity';
import type { ActivityDependencies, ConfiguredSource } from '../activities/dependencies.ts';
import type { Environment } from '../config/environment.ts';
import { sourceModule } from '../connectors/registry.ts';
import type { Catalog } from '../store/catalog/catalog.ts';
import { createIntakeReader } from '../store/catalog/intake-chunks.ts';
import { createLocalStaging } from '../store/staging/local.ts';
import type { TemporalAccess } from '../temporal/client.ts';
import { progress } from './activity-interceptor.ts';
import { CatalogConfiguration } from './configuration-reader.ts';
import { OpenDestinations } from './destination-pool.ts';
import { createEngine } from './engine.ts';
import { ThreadPool } from './thread-pool.ts';

export interface DependencySources {
  readonly environment: Environment;
  readonly catalog: Catalog;
  readonly installation: string;
  readonly access: TemporalAccess;
  /** Closes what is opened here. */
  readonly resources: AsyncDisposableStack;
}

const GiB = 2 ** 30;

/** Everything that the activities of this worker need. */
export function createDependencies(from: DependencySources): ActivityDependencies {
  const { environment, catalog, installation, access, resources } = from;
  const { secretKey, warehouseBaseUrl, stagingDir } = environment;
  const configuration = new CatalogConfiguration(catalog, secretKey);
  const pool = new OpenDestinations({ configuration, installation, warehouseBaseUrl });
  const threads = new ThreadPool({
    size: environment.threads,
    catalogUrl: environment.catalogUrl,
    embeddedUrl: warehouseBaseUrl,
    maxHeapMiB: 256,
    onProgress: progress.report,
  });
  resources.use(pool);
  resources.use(threads);
  return {
    catalog,
    staging: createLocalStaging(stagingDir),
    configuration,
    destinations: pool,
    openSource: openSourceWith(catalog, warehouseBaseUrl),
    threads,
    engine: createEngine(access),
    progress,
    attempt: () => activityInfo().attempt,
    signal: cancellationSignal,
    settings: toSettings(environment, installation),
  };
}

function toSettings(environment: Environment, installation: string) {
  const { stagingDir, awayAfterMs, maxBatchBytes, maxStreams } = environment;
  const { minFreeBytes, keepExtractsMs } = environment;
  return {
    installation,
    stagingRoot: stagingDir,
    awayAfterMs,
    fenceTimeoutMs: 60_000 * environment.patience,
    maxBatchBytes,
    maxBatchRecords: 200_000,
    maxStreams,
    minFreeBytes,
    keepExtractsMs,
    stagingCapBytes: 20 * GiB,
  };
}

function openSourceWith(
  catalog: Catalog,
  embeddedUrl: string | undefined,
): ActivityDependencies['openSource'] {
  const intake = createIntakeReader(catalog);
  return async ({ name, settings: { type, ...settings }, configDir }: ConfiguredSource) => {
    const module = await sourceModule(type);
    const defaultUrl = embeddedUrl && `${embeddedUrl}/${name}`;
    const context = { name, configDir, now: Date.now, intake, defaultUrl };
    return module.open(module.settings.parse(settings), context);
  };
}
