import { Hono } from 'hono';
import { countOpen } from '../../store/catalog/batches.ts';
import { listPaused, pauseSource, resumeSource } from '../../store/catalog/pauses.ts';
import type { PauseAnswer, PipelineAnswer } from '../contract/pipelines.ts';
import { readCurrent, requireBlock, type ServerContext } from '../context.ts';
import { askForSyncs } from '../request-syncs.ts';
import { keepUp } from '../upkeep.ts';

const author = 'admin';

export function pipelineRoutes(server: ServerContext): Hono {
  return new Hono()
    .get('/', async (context) => context.json(await listPipelines(server)))
    .post('/:name/pause', async (context) => {
      return context.json(await change(server, context.req.param('name'), true));
    })
    .post('/:name/resume', async (context) => {
      return context.json(await change(server, context.req.param('name'), false));
    });
}

async function listPipelines(server: ServerContext): Promise<PipelineAnswer[]> {
  const { pipelines } = await readCurrent(server);
  const paused = new Map((await listPaused(server.catalog)).map((row) => [row.source, row]));
  return Object.entries(pipelines).map(([pipeline, { source, destinations, everyMs }]) => ({
    pipeline,
    source,
    destinations,
    everyMs: everyMs ?? null,
    pausedAt: paused.get(source)?.pausedAt ?? null,
  }));
}

/** The catalog first: it is the truth, whatever Temporal hears of it. */
async function change(server: ServerContext, name: string, paused: boolean): Promise<PauseAnswer> {
  const { catalog } = server;
  const { pipelines } = await readCurrent(server);
  const { source } = requireBlock('pipeline', pipelines, name);
  const order = { source, pipeline: name, author };
  const changed = await (paused ? pauseSource : resumeSource)(catalog, order);
  await keepUp(server);
  const away = server.temporal.health.message;
  const delayed = paused || !changed ? away : await askForSyncs(server, [source]);
  const { pending, waiting } = await countOpen(catalog, { sources: [source] });
  return { pipeline: name, source, paused, changed, open: pending + waiting, delayed };
}
