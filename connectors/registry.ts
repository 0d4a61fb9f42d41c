import { PipelineError } from '../core/errors.ts';
import type { DestinationModule, SourceModule } from './kit/connector-module.ts';

/** Every kind of source and destination, loaded when first used. A new system is one line here. */
const sources: Readonly<Record<string, () => Promise<SourceModule>>> = {
  file: async () => (await import('./file/index.ts')).fileSource as SourceModule,
  http: async () => (await import('./http/index.ts')).httpSource as SourceModule,
  postgres: async () => (await import('./postgres/index.ts')).postgresSource as SourceModule,
};

const destinations: Readonly<Record<string, () => Promise<DestinationModule>>> = {
  postgres: async () =>
    (await import('./postgres/index.ts')).postgresDestination as DestinationModule,
};

export const sourceTypes: readonly string[] = Object.keys(sources);
export const destinationTypes: readonly string[] = Object.keys(destinations);

/** @throws PipelineError `invalid-config` for a type that nobody registered. */
export function sourceModule(type: string): Promise<SourceModule> {
  return find('source', sources, type);
}

/** @throws PipelineError `invalid-config` for a type that nobody registered. */
export function destinationModule(type: string): Promise<DestinationModule> {
  return find('destination', destinations, type);
}

async function find<T>(
  what: string,
  modules: Readonly<Record<string, () => Promise<T>>>,
  type: string,
): Promise<T> {
  const load = Object.hasOwn(modules, type) ? modules[type] : undefined;
  if (load) return load();
  const known = Object.keys(modules).join(', ');
  throw new PipelineError(
    'invalid-config',
    `there is no ${what} type "${type}": choose from ${known}`,
  );
}
