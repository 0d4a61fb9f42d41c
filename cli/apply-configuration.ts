import type { LoadedConfiguration } from '../config/load-configuration.ts';
import type { InstanceInfo } from '../local/instance.ts';
import type { ApplyAnswer } from '../server/contract/configuration.ts';
import type { Api } from './api.ts';
import { noteDestinations } from './known-destinations.ts';

/** Puts a configuration into force. */
export async function applyConfiguration(
  api: Api,
  { document, configDir, configuration }: LoadedConfiguration,
): Promise<{ readonly answer: ApplyAnswer; readonly info: InstanceInfo }> {
  const answer = await api.put<ApplyAnswer>('configuration', {
    configuration: document,
    configDir,
  });
  return { answer, info: await noteDestinations(api.info, configuration) };
}
