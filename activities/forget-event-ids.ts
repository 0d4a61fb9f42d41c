import { readDestinationStates } from '../store/catalog/destinations.ts';
import type { ActivityDependencies } from './dependencies.ts';

/** How long a resent event is known for one: what is sent again later is a new event. */
const windowMs = 30 * 24 * 3_600_000;
const everyMs = 3_600_000;

/** Forgets event ids beyond the window, once an hour, in the destinations that can be reached. */
export function createForgetEventIds({
  catalog,
  configuration,
  destinations,
  signal,
}: ActivityDependencies): () => Promise<void> {
  let last = 0;
  return async () => {
    if (Date.now() - last < everyMs) return;
    last = Date.now();
    const states = new Map(
      (await readDestinationStates(catalog)).map(({ destination, state }) => [destination, state]),
    );
    for (const name of Object.keys((await configuration.current()).destinations)) {
      if ((states.get(name) ?? 'ok') !== 'ok') continue;
      const { destination } = await destinations.open(name);
      await destination.forgetIds(windowMs, signal());
    }
  };
}
