import { isPipelineError } from '../core/errors.ts';
import { sourceModule } from '../connectors/registry.ts';
import type { ConfigurationReader } from './dependencies.ts';

/** Whether events of a source may arrive twice. Of one that is gone from the configuration: perhaps. */
export async function mayResend(
  configuration: ConfigurationReader,
  source: string,
): Promise<boolean> {
  try {
    const { settings } = await configuration.source(source);
    return (await sourceModule(settings.type)).mayResend ?? false;
  } catch (error) {
    if (isPipelineError(error, 'not-found')) return true;
    throw error;
  }
}
