import type { ConnectorSettings } from '../core/configuration.ts';
import { must } from '../core/errors.ts';
import type { Destination } from '../core/destination.ts';
import type { NamingRule } from '../core/mapping.ts';
import type { ReplayableSource } from '../core/source.ts';
import { destinationModule, sourceModule } from '../connectors/registry.ts';
import { createIntakeReader } from '../store/catalog/intake-chunks.ts';
import { readApplied, requireBlock, type ServerContext } from './context.ts';

export interface OpenedDestination extends AsyncDisposable {
  readonly destination: Destination;
  readonly naming: NamingRule;
}

export async function openDestination(
  { environment, installation }: ServerContext,
  name: string,
  { type, ...settings }: ConnectorSettings,
): Promise<OpenedDestination> {
  const module = await destinationModule(type);
  const parsed = module.settings.parse(settings);
  const defaultUrl = embeddedUrl(environment, name);
  const destination = await module.open(parsed, { name, installation, defaultUrl });
  const { naming } = module;
  return {
    destination,
    naming,
    [Symbol.asyncDispose]: () => destination[Symbol.asyncDispose](),
  };
}

export async function openSource(
  { catalog, environment }: ServerContext,
  name: string,
  { type, ...settings }: ConnectorSettings,
  configDir: string,
): Promise<ReplayableSource> {
  const module = await sourceModule(type);
  const intake = createIntakeReader(catalog);
  const defaultUrl = embeddedUrl(environment, name);
  const context = { name, configDir, now: Date.now, intake, defaultUrl };
  return module.open(module.settings.parse(settings), context);
}

/** The database of that name in the embedded server, where there is one. */
function embeddedUrl(
  { warehouseBaseUrl: base }: ServerContext['environment'],
  name: string,
): string | undefined {
  return base === undefined ? undefined : `${base}/${name}`;
}

/** A source of the applied configuration. @throws PipelineError `not-found` */
export async function openApplied(server: ServerContext, name: string): Promise<ReplayableSource> {
  const applied = await readApplied(server);
  const block = requireBlock('source', applied?.configuration.sources ?? {}, name);
  return openSource(server, name, block, must(applied, 'the applied configuration').configDir);
}
