import { Hono } from 'hono';
import { listRuns, listTables, readRun } from '../../store/catalog/runs.ts';
import { readQuery } from '../answers.ts';
import { oneRunQuery, runQuery } from '../contract/runs.ts';
import type { ServerContext } from '../context.ts';

export function runRoutes({ catalog }: ServerContext): Hono {
  return new Hono()
    .get('/runs', async (context) => {
      return context.json(await listRuns(catalog, readQuery(context, runQuery)));
    })
    .get('/run', async (context) => {
      return context.json(await readRun(catalog, readQuery(context, oneRunQuery).id));
    })
    .get('/tables', async (context) => context.json(await listTables(catalog)));
}
