import { Hono } from 'hono';
import { PipelineError } from '../../core/errors.ts';
import { emptyConfiguration, type Configuration } from '../../core/configuration.ts';
import { validateConfiguration } from '../../config/load-configuration.ts';
import { saveConfiguration } from '../../store/catalog/configurations.ts';
import { destinationsWithOpenDeliveries } from '../../store/catalog/deliveries.ts';
import { issueFirstTokens } from '../../store/catalog/source-tokens.ts';
import { intakeLane } from '../../connectors/kit/intake-source.ts';
import { sourceModule } from '../../connectors/registry.ts';
import { sourcesWithUnplannedChunks } from '../../store/catalog/intake-chunks.ts';
import { readBody } from '../answers.ts';
import {
  applyBody,
  type ApplyAnswer,
  type ConfigurationAnswer,
} from '../contract/configuration.ts';
import { readApplied, type ServerContext } from '../context.ts';
import { refuseOtherWriteModes } from '../keep-write-modes.ts';
import { keepUp } from '../upkeep.ts';

export function configurationRoutes(server: ServerContext): Hono {
  return new Hono()
    .get('/', async (context) => context.json(await readNames(server)))
    .put('/', async (context) => {
      const { configuration, configDir } = await readBody(context, applyBody);
      const checked = await validateConfiguration(configuration);
      return context.json(await apply(server, checked, configDir));
    });
}

async function readNames(server: ServerContext): Promise<ConfigurationAnswer> {
  const applied = await readApplied(server);
  const {
    sources,
    destinations,
    pipelines,
    demo = {},
  } = applied?.configuration ?? emptyConfiguration;
  return {
    version: applied?.version ?? 0,
    appliedAt: applied?.appliedAt ?? null,
    configDir: applied?.configDir ?? null,
    sources: typesOf(sources),
    destinations: typesOf(destinations),
    pipelines,
    demo,
  };
}

function typesOf(blocks: Readonly<Record<string, { readonly type: string }>>) {
  return Object.fromEntries(Object.entries(blocks).map(([name, { type }]) => [name, type]));
}

async function apply(
  server: ServerContext,
  configuration: Configuration,
  configDir: string,
): Promise<ApplyAnswer> {
  const { catalog, environment } = server;
  const before = await readApplied(server);
  await refuseOpenDeliveries(server, before?.configuration, configuration);
  await refuseUnreadEvents(server, before?.configuration, configuration);
  await refuseOtherWriteModes(catalog, configuration);
  const { secretKey } = environment;
  const saved = await saveConfiguration(catalog, {
    configuration,
    configDir,
    author: 'admin',
    secretKey,
  });
  const sources = await postedSources(configuration);
  const tokens = await issueFirstTokens(catalog, { sources, author: 'admin' });
  await server.refreshIntake();
  await keepUp(server);
  return { version: saved.version, changed: saved.version !== before?.version, tokens };
}

/** Sources that events are posted to. */
async function postedSources({ sources }: Configuration): Promise<readonly string[]> {
  const names = [];
  for (const [name, { type }] of Object.entries(sources)) {
    if ((await sourceModule(type)).intakeRules) names.push(name);
  }
  return names;
}

/** Events that were answered have to be loaded: their source cannot go before they are planned. */
async function refuseUnreadEvents(
  { catalog }: ServerContext,
  before: Configuration = emptyConfiguration,
  after: Configuration,
): Promise<void> {
  const [had, has] = await Promise.all([before, after].map(fedSources));
  const unread = await sourcesWithUnplannedChunks(catalog, intakeLane);
  const left = unread.filter((source) => had?.has(source) && !has?.has(source));
  if (left.length === 0) return;
  throw new PipelineError(
    'conflict',
    `${left.join(', ')} cannot lose its pipeline: events were received that are not loaded; let it finish (sync) first`,
  );
}

/** Sources that events are posted to and that a pipeline reads. */
async function fedSources(configuration: Configuration): Promise<ReadonlySet<string>> {
  const posted = await postedSources(configuration);
  const read = Object.values(configuration.pipelines).map(({ source }) => source);
  return new Set(read.filter((source) => posted.includes(source)));
}

/** Deliveries are fixed at plan time: their destination cannot go before they are done. */
async function refuseOpenDeliveries(
  { catalog }: ServerContext,
  before: Configuration | undefined,
  after: Configuration,
): Promise<void> {
  const gone = Object.keys(before?.destinations ?? {}).filter(
    (name) => !Object.hasOwn(after.destinations, name),
  );
  const open = await destinationsWithOpenDeliveries(catalog, gone);
  if (open.length === 0) return;
  throw new PipelineError(
    'conflict',
    `${open.join(', ')} cannot be removed: batches are still on their way there; let them finish (sync) first`,
  );
}
