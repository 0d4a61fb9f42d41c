import { Hono } from 'hono';
import { listLanes } from '../../store/catalog/lanes.ts';
import type { LaneAnswer, SourceAnswer, SourceCheckAnswer } from '../contract/sources.ts';
import { readCurrent, type ServerContext } from '../context.ts';
import { openApplied } from '../open-connectors.ts';

const checkTimeoutMs = 20_000;

export function sourceRoutes(server: ServerContext): Hono {
  return new Hono()
    .get('/', async (context) => context.json(await listSources(server)))
    .post('/:name/check', async (context) => {
      await using source = await openApplied(server, context.req.param('name'));
      await source.check(AbortSignal.timeout(checkTimeoutMs));
      const notes = source.notes?.() ?? [];
      const answer: SourceCheckAnswer = { source: context.req.param('name'), ok: true, notes };
      return context.json(answer);
    })
    .get('/:name/lanes', async (context) => {
      await using source = await openApplied(server, context.req.param('name'));
      const known = await listLanes(server.catalog, context.req.param('name'));
      const lanes = await source.lanes(
        known.map(({ lane: name, head, memo }) => ({ name, head, memo })),
        AbortSignal.timeout(checkTimeoutMs),
      );
      const answer: LaneAnswer[] = lanes.map(({ name, stream }) => ({
        lane: name,
        stream: stream ?? null,
      }));
      return context.json(answer);
    });
}

async function listSources(server: ServerContext): Promise<SourceAnswer[]> {
  const { sources, pipelines } = await readCurrent(server);
  return Promise.all(
    Object.entries(sources).map(async ([source, { type }]) => {
      const [pipeline, settings] =
        Object.entries(pipelines).find(([, candidate]) => candidate.source === source) ?? [];
      return {
        source,
        type,
        pipeline: pipeline ?? null,
        destinations: settings?.destinations ?? [],
        everyMs: settings?.everyMs ?? null,
        lanes: (await listLanes(server.catalog, source)).length,
      };
    }),
  );
}
