import { Hono } from 'hono';
import type { z } from 'zod';
import { PipelineError } from '../../core/errors.ts';
import { recordCount } from '../../core/records.ts';
import type { ImportedSchema, ReplayableSource } from '../../core/source.ts';
import { readBody } from '../answers.ts';
import { previewBody, type PreviewAnswer, type PreviewTable } from '../contract/previews.ts';
import { readCurrent, requireBlock, type ServerContext } from '../context.ts';
import { openApplied } from '../open-connectors.ts';
import { previewStream } from '../preview/preview-stream.ts';
import { sampleSource, type StreamSample } from '../preview/sample-source.ts';

const timeoutMs = 60_000;

/** Row values are in these answers, for the person who asks, and nowhere else. */
export function previewRoutes(server: ServerContext): Hono {
  return new Hono().post('/:name/preview', async (context) => {
    const body = await readBody(context, previewBody);
    return context.json(await preview(server, context.req.param('name'), body));
  });
}

async function preview(
  server: ServerContext,
  source: string,
  { stream, rows }: z.infer<typeof previewBody>,
): Promise<readonly PreviewAnswer[]> {
  const { sources, destinations, pipelines } = await readCurrent(server);
  requireBlock('source', sources, source);
  const pipeline = Object.values(pipelines).find((candidate) => candidate.source === source);
  if (!pipeline) {
    const message = `source ${source} belongs to no pipeline: nothing says where it would go`;
    throw new PipelineError('invalid-request', message);
  }
  await using opened = await openApplied(server, source);
  const signal = AbortSignal.timeout(timeoutMs);
  const answers: PreviewAnswer[] = [];
  for (const sample of await sampleSource(opened, stream, signal)) {
    const imported = await importSchema(opened, sample, signal);
    const tables: PreviewTable[] = [];
    for (const destination of pipeline.destinations) {
      const settings = requireBlock('destination', destinations, destination);
      const about = { source, sample, imported, pipeline, destination, settings, rows };
      tables.push(await previewStream(server, about));
    }
    answers.push(toAnswer(sample, tables));
  }
  return answers;
}

async function importSchema(
  source: ReplayableSource,
  { blocks }: StreamSample,
  signal: AbortSignal,
): Promise<ImportedSchema | null> {
  const schemaId = blocks[0]?.context.schemaId;
  if (schemaId === undefined || !source.capabilities.importsSchema) return null;
  return (await source.importSchema?.(schemaId, signal)) ?? null;
}

function toAnswer(
  { stream, lane, blocks }: StreamSample,
  destinations: readonly PreviewTable[],
): PreviewAnswer {
  const events = blocks.reduce((sum, block) => sum + recordCount(block), 0);
  return { stream, lane, events, destinations };
}
