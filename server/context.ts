import type { Logger } from 'pino';
import type { Configuration } from '../core/configuration.ts';
import { PipelineError } from '../core/errors.ts';
import type { Environment } from '../config/environment.ts';
import { emptyConfiguration } from '../core/configuration.ts';
import type { Catalog } from '../store/catalog/catalog.ts';
import { readConfiguration, type AppliedConfiguration } from '../store/catalog/configurations.ts';
import type { TemporalLink } from './temporal-link.ts';

/** What every route works with. */
export interface ServerContext {
  readonly catalog: Catalog;
  readonly environment: Environment;
  readonly installation: string;
  readonly temporal: TemporalLink;
  readonly log: Logger;
  /** The intake reads tokens and configuration anew, at once. */
  readonly refreshIntake: () => Promise<void>;
}

export async function readApplied({
  catalog,
  environment,
}: ServerContext): Promise<AppliedConfiguration | null> {
  return readConfiguration(catalog, environment.secretKey);
}

export async function readCurrent(context: ServerContext): Promise<Configuration> {
  return (await readApplied(context))?.configuration ?? emptyConfiguration;
}

/** A block of the applied configuration. @throws PipelineError `not-found` */
export function requireBlock<T>(
  what: string,
  blocks: Readonly<Record<string, T>>,
  name: string,
): T {
  const block = Object.hasOwn(blocks, name) ? blocks[name] : undefined;
  if (block !== undefined) return block;
  const known = Object.keys(blocks).join(', ') || 'none';
  throw new PipelineError(
    'not-found',
    `there is no ${what} ${name} in the applied configuration: ${known}`,
  );
}
