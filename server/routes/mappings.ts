import { Hono } from 'hono';
import type { z } from 'zod';
import { PipelineError } from '../../core/errors.ts';
import type { Mapping } from '../../core/mapping.ts';
import { setFieldType } from '../../pipeline/mapping/plan-mapping.ts';
import { recordDecision } from '../../store/catalog/decisions.ts';
import {
  currentMapping,
  findMappings,
  insertMapping,
  lockMappings,
  logDdl,
  mappingHistory,
} from '../../store/catalog/mappings.ts';
import { readBody, readQuery } from '../answers.ts';
import {
  mappingQuery,
  setFieldBody,
  type FieldVersion,
  type MappingAnswer,
  type SetFieldAnswer,
} from '../contract/mappings.ts';
import { readCurrent, requireBlock, type ServerContext } from '../context.ts';
import { openDestination } from '../open-connectors.ts';

const ddlTimeoutMs = 60_000;

export function mappingRoutes(server: ServerContext): Hono {
  return new Hono()
    .get('/', async (context) => {
      const mappings = await findMappings(server.catalog, readQuery(context, mappingQuery));
      const answer: MappingAnswer[] = await Promise.all(
        mappings.map(async (mapping) => ({
          mapping,
          history: await mappingHistory(server.catalog, mapping),
        })),
      );
      return context.json(answer);
    })
    .put('/fields', async (context) => {
      return context.json(await setField(server, await readBody(context, setFieldBody)));
    });
}

type SetField = z.infer<typeof setFieldBody>;

async function setField(server: ServerContext, order: SetField): Promise<SetFieldAnswer> {
  const { field, type } = order;
  const mappings = await findMappings(server.catalog, order);
  if (mappings.length === 0) throw await noSuchStream(server, order);
  const versions: FieldVersion[] = [];
  for (const mapping of mappings) versions.push(await setInDestination(server, mapping, order));
  return { field, type, versions };
}

async function noSuchStream(server: ServerContext, order: SetField): Promise<PipelineError> {
  const known = await findMappings(server.catalog, { source: order.source });
  const streams = [...new Set(known.map(({ stream }) => stream))].join(', ') || 'none';
  return new PipelineError(
    'not-found',
    `there is no mapping of ${order.source}.${order.stream} yet; streams of this source: ${streams}`,
  );
}

/**
 * The new version and the change of the table, together: an order that the table's rows do not
 * allow is refused and leaves everything as it was.
 */
async function setInDestination(
  server: ServerContext,
  { source, stream, destination }: Mapping,
  { field, type }: SetField,
): Promise<FieldVersion> {
  const { destinations } = await readCurrent(server);
  await using open = await openDestination(
    server,
    destination,
    requireBlock('destination', destinations, destination),
  );
  // Awaited here: the destination stays open until the transaction is over.
  return await server.catalog.transaction(async (tx) => {
    await lockMappings(tx, { source, destination });
    const current = await currentMapping(tx, { source, stream, destination });
    if (!current) throw new PipelineError('conflict', `the mapping of ${source}.${stream} is gone`);
    const { mapping, changed } = setFieldType(current, { field, type });
    const { version } = mapping;
    if (!changed) return { destination, version, changed, statements: [] };
    await insertMapping(tx, mapping, { author: 'admin', reason: `${field}: ${type}, by order` });
    const signal = AbortSignal.timeout(ddlTimeoutMs);
    const applied = await open.destination.applyMapping(mapping, signal);
    const statements = applied.map(({ statement }) => statement);
    for (const statement of statements) {
      const entry = { destination, source, stream, mappingVersion: version, statement };
      await logDdl(tx, { ...entry, batchId: null });
    }
    const subject = `${source}.${stream} → ${destination}`;
    const details = { field, type, version };
    await recordDecision(tx, { author: 'admin', action: 'mapping set', subject, details });
    return { destination, version, changed, statements };
  });
}
