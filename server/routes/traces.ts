import { Hono } from 'hono';
import { readQuery } from '../answers.ts';
import { readCurrent, requireBlock, type ServerContext } from '../context.ts';
import { tailQuery, traceQuery } from '../contract/traces.ts';
import { tailEvents, traceEvent } from '../trace-event.ts';

export function traceRoutes(server: ServerContext): Hono {
  const { catalog } = server;
  return new Hono()
    .get('/traces', async (context) => {
      const { id, source } = readQuery(context, traceQuery);
      const { sources } = await readCurrent(server);
      if (source !== undefined) requireBlock('source', sources, source);
      const chosen = source === undefined ? Object.keys(sources) : [source];
      return context.json(await traceEvent(catalog, { id, sources: chosen }));
    })
    .get('/sources/:name/events', async (context) => {
      const source = context.req.param('name');
      requireBlock('source', (await readCurrent(server)).sources, source);
      const { after, limit } = readQuery(context, tailQuery);
      return context.json(await tailEvents(catalog, { source, after, limit }));
    });
}
