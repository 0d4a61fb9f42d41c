import { randomUUID } from 'node:crypto';
import { Hono } from 'hono';
import type { z } from 'zod';
import type { PipelineSettings } from '../../core/configuration.ts';
import { must, PipelineError } from '../../core/errors.ts';
import { laneWindows } from '../../connectors/kit/lane-windows.ts';
import { batchIdOf } from '../../pipeline/batches/batch-id.ts';
import {
  backfillProgress,
  changeBackfill,
  listBackfills,
  planBackfill,
  readBackfill,
  wholeStreams,
  type BackfillRow,
} from '../../store/catalog/backfills.ts';
import { listLanesOf } from '../../store/catalog/lanes.ts';
import { isPaused } from '../../store/catalog/pauses.ts';
import { wantSync } from '../../store/catalog/wanted-syncs.ts';
import { signalBackfill, startBackfill } from '../../temporal/backfills.ts';
import { readBody, readQuery } from '../answers.ts';
import {
  backfillBody,
  backfillChangeBody,
  backfillQuery,
  type BackfillAnswer,
  type BackfillStateAnswer,
} from '../contract/backfills.ts';
import { readApplied, requireBlock, type ServerContext } from '../context.ts';
import { openSource } from '../open-connectors.ts';
import { askForSyncs, explainDelay } from '../request-syncs.ts';

const author = 'admin';
const planTimeoutMs = 60_000;

type Body = z.infer<typeof backfillBody>;

export function backfillRoutes(server: ServerContext): Hono {
  const { catalog } = server;
  return new Hono()
    .get('/', async (context) => {
      const rows = await listBackfills(catalog, readQuery(context, backfillQuery));
      return context.json(await Promise.all(rows.map((row) => withProgress(server, row))));
    })
    .post('/', async (context) => {
      return context.json(await request(server, await readBody(context, backfillBody)));
    })
    .get('/:id', async (context) => {
      const row = await readBackfill(catalog, context.req.param('id'));
      return context.json(await withProgress(server, row));
    })
    .post('/:id', async (context) => {
      const change = await readBody(context, backfillChangeBody);
      const row = await readBackfill(catalog, context.req.param('id'));
      return context.json(await tune(server, row, change));
    });
}

async function withProgress(
  { catalog }: ServerContext,
  row: BackfillRow,
): Promise<BackfillStateAnswer> {
  return { ...row, ...(await backfillProgress(catalog, row.requestId)) };
}

/** The plan is in the catalog first: if Temporal does not hear of it, `maintain` finds it. */
async function request(server: ServerContext, body: Body): Promise<BackfillAnswer> {
  const { configuration, configDir } = must(await requireApplied(server));
  const pipeline = requireBlock('pipeline', configuration.pipelines, body.pipeline);
  const { source } = pipeline;
  if (await isPaused(server.catalog, source)) {
    const message = `pipeline ${body.pipeline} is paused: "resume ${body.pipeline}" lets it go on`;
    throw new PipelineError('conflict', message);
  }
  const { refreshed, delayed } = await refresh(server, source, body);
  const { stream = null } = body;
  const answer = { source, stream, refreshed };
  if (refreshed.length > 0 && (await isAllWhole(server, { source, stream }))) {
    return { ...answer, requestId: null, batches: 0, workflowId: null, delayed };
  }
  const settings = requireBlock('source', configuration.sources, source);
  await using opened = await openSource(server, source, settings, configDir);
  const plan = await planWith(server, opened, { body, pipeline });
  const started = await start(server, plan);
  const { requestId, batches } = plan;
  return { ...answer, requestId, batches, ...started, delayed: started.delayed ?? delayed };
}

async function requireApplied(server: ServerContext) {
  const applied = await readApplied(server);
  if (applied) return applied;
  throw new PipelineError('not-found', 'no configuration is applied: run apply first');
}

/** Streams that are read as a whole have no parts: a sync reads all of them again. */
async function refresh(
  server: ServerContext,
  source: string,
  { stream, from, to }: Body,
): Promise<Pick<BackfillAnswer, 'refreshed' | 'delayed'>> {
  if (from !== undefined || to !== undefined) return { refreshed: [], delayed: null };
  const streams = (await wholeStreams(server.catalog, source)).whole;
  const refreshed = streams.filter((name) => stream === undefined || name === stream);
  if (refreshed.length === 0) return { refreshed, delayed: null };
  await wantSync(server.catalog, source);
  return { refreshed, delayed: await askForSyncs(server, [source]) };
}

async function isAllWhole(
  { catalog }: ServerContext,
  { source, stream }: { source: string; stream: string | null },
): Promise<boolean> {
  return stream !== null || !(await wholeStreams(catalog, source)).hasOthers;
}

async function planWith(
  { catalog }: ServerContext,
  opened: Awaited<ReturnType<typeof openSource>>,
  { body, pipeline }: { body: Body; pipeline: PipelineSettings },
): Promise<BackfillRow & { readonly batches: number }> {
  const { stream = null, lane = null, from, to, concurrency } = body;
  const { source, destinations } = pipeline;
  const requestId = body.requestId ?? newRequestId();
  const known = await listLanesOf(catalog, { source, lane, stream });
  const signal = AbortSignal.timeout(planTimeoutMs);
  const batches = await planBackfill(catalog, {
    requestId,
    source,
    stream,
    lane,
    fromAsked: from ?? null,
    toAsked: to ?? null,
    concurrency,
    author,
    destinations,
    windows: await laneWindows(opened, known, { from, to }, signal),
    batchIdOf: (range) => batchIdOf({ run: `backfill/${requestId}`, source, ...range }),
  });
  return { ...(await readBackfill(catalog, requestId)), batches };
}

async function start(
  { temporal }: ServerContext,
  row: BackfillRow,
): Promise<Pick<BackfillAnswer, 'workflowId' | 'delayed'>> {
  try {
    const workflowId = await temporal.use((access) => startBackfill(access, row));
    return { workflowId, delayed: null };
  } catch (error) {
    return { workflowId: null, delayed: explainDelay(error) };
  }
}

async function tune(
  server: ServerContext,
  row: BackfillRow,
  { paused, concurrency }: z.infer<typeof backfillChangeBody>,
): Promise<BackfillStateAnswer> {
  const { catalog, temporal } = server;
  const { requestId } = row;
  await changeBackfill(catalog, { requestId, paused, concurrency, author });
  if (paused !== undefined) {
    // A signal that is lost is made up for: the workflow reads the catalog.
    await temporal.use((access) => signalBackfill(access, row, paused)).catch(() => undefined);
  }
  return withProgress(server, await readBackfill(catalog, requestId));
}

/** Says when it was asked for, in UTC. */
function newRequestId(): string {
  const [day = '', time = ''] = new Date().toISOString().split(/[T.]/);
  return `${day}-${time.replaceAll(':', '')}-${randomUUID().slice(0, 4)}`;
}
