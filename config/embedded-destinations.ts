import type { Configuration } from '../core/configuration.ts';
import { destinationModule } from '../connectors/registry.ts';

/** Destinations that name no place of their own: each has a database in the embedded server. */
export async function embeddedDestinations({
  destinations,
}: Configuration): Promise<readonly string[]> {
  const names: string[] = [];
  for (const [name, { type, ...settings }] of Object.entries(destinations)) {
    const module = await destinationModule(type);
    if (module.placeOf(module.settings.parse(settings)) === null) names.push(name);
  }
  return names;
}
