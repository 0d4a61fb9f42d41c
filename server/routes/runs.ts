import { Hono } from 'hono';
import { discardLost } from '../../store/catalog/discard-lost.ts';
import { listRuns, listTables, readRun } from '../../store/catalog/runs.ts';
import { readBody, readQuery } from '../answers.ts';
import { discardBody, oneRunQuery, runQuery, type DiscardAnswer } from '../contract/runs.ts';
import type { ServerContext } from '../context.ts';

export function runRoutes({ catalog }: ServerContext): Hono {
  return new Hono()
    .get('/runs', async (context) => {
      return context.json(await listRuns(catalog, readQuery(context, runQuery)));
    })
    .get('/run', async (context) => {
      return context.json(await readRun(catalog, readQuery(context, oneRunQuery).id));
    })
    .post('/run/discard', async (context) => {
      const { id: batchId, why } = await readBody(context, discardBody);
      const found = await discardLost(catalog, { batchId, why, author: 'admin' });
      const answer: DiscardAnswer = { batchId, changed: found.destinations.length > 0, ...found };
      return context.json(answer);
    })
    .get('/tables', async (context) => context.json(await listTables(catalog)));
}
