import type { ActivityDependencies, OpenDestination } from '../../../activities/dependencies.ts';
import type { Destination, LoadRequest, LoadTransaction } from '../../../core/destination.ts';
import { withOverrides } from './with-overrides.ts';

/** Where a load goes, and what it is asked to load. */
export interface LoadPlace {
  readonly name: string;
  readonly destination: Destination;
  readonly request: LoadRequest;
}

/** Puts something around every load transaction of every destination. */
export function aroundLoads(
  real: ActivityDependencies,
  change: (load: LoadTransaction, place: LoadPlace) => Partial<LoadTransaction>,
): ActivityDependencies {
  const open = async (name: string): Promise<OpenDestination> => {
    const opened = await real.destinations.open(name);
    const { destination } = opened;
    const beginLoad: typeof destination.beginLoad = async (request) => {
      const load = await destination.beginLoad(request);
      return withOverrides(load, change(load, { name, destination, request }));
    };
    return { ...opened, destination: withOverrides(destination, { beginLoad }) };
  };
  return { ...real, destinations: withOverrides(real.destinations, { open }) };
}
