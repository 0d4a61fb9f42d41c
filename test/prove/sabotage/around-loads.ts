import type { ActivityDependencies, OpenDestination } from '../../../activities/dependencies.ts';
import type { LoadTransaction } from '../../../core/destination.ts';
import { withOverrides } from './with-overrides.ts';

/** Puts something around every load transaction of every destination. */
export function aroundLoads(
  real: ActivityDependencies,
  change: (load: LoadTransaction) => Partial<LoadTransaction>,
): ActivityDependencies {
  const open = async (name: string): Promise<OpenDestination> => {
    const opened = await real.destinations.open(name);
    const { destination } = opened;
    const beginLoad: typeof destination.beginLoad = async (request) => {
      const load = await destination.beginLoad(request);
      return withOverrides(load, change(load));
    };
    return { ...opened, destination: withOverrides(destination, { beginLoad }) };
  };
  return { ...real, destinations: withOverrides(real.destinations, { open }) };
}
