import { Hono } from 'hono';
import { destinationModule } from '../../connectors/registry.ts';
import { readDestinationStates } from '../../store/catalog/destinations.ts';
import type { DestinationAnswer, DestinationCheckAnswer } from '../contract/destinations.ts';
import { readCurrent, requireBlock, type ServerContext } from '../context.ts';
import { openDestination } from '../open-connectors.ts';

const checkTimeoutMs = 20_000;

export function destinationRoutes(server: ServerContext): Hono {
  return new Hono()
    .get('/', async (context) => context.json(await listDestinations(server)))
    .post('/:name/check', async (context) => {
      const name = context.req.param('name');
      const { destinations } = await readCurrent(server);
      await using open = await openDestination(
        server,
        name,
        requireBlock('destination', destinations, name),
      );
      const patience = AbortSignal.timeout(checkTimeoutMs);
      await open.destination.check(patience);
      await open.destination.checkNewTables?.(patience);
      const answer: DestinationCheckAnswer = { destination: name, ok: true };
      return context.json(answer);
    });
}

export async function listDestinations(server: ServerContext): Promise<DestinationAnswer[]> {
  const { destinations } = await readCurrent(server);
  const states = await readDestinationStates(server.catalog);
  return Promise.all(
    Object.entries(destinations).map(async ([destination, { type, ...settings }]) => {
      const module = await destinationModule(type);
      const known = states.find((row) => row.destination === destination);
      const place = module.placeOf(module.settings.parse(settings));
      const { state = 'ok', kind = null, message = null } = known ?? {};
      return { destination, type, place, state, kind, message };
    }),
  );
}
