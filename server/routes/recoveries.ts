import { Hono } from 'hono';
import { readBody } from '../answers.ts';
import { recoveryBody } from '../contract/recoveries.ts';
import type { ServerContext } from '../context.ts';
import { recover } from '../recover/recover.ts';

export function recoveryRoutes(server: ServerContext): Hono {
  return new Hono().post('/', async (context) => {
    const order = await readBody(context, recoveryBody);
    const answer = await recover(server, { ...order, author: 'admin' });
    if (!order.dryRun) await server.refreshIntake();
    return context.json(answer);
  });
}
