import { Hono } from 'hono';
import type { z } from 'zod';
import type { Destination } from '../../core/destination.ts';
import { isPipelineError, PipelineError } from '../../core/errors.ts';
import type { Mapping } from '../../core/mapping.ts';
import { setFieldType } from '../../pipeline/mapping/plan-mapping.ts';
import type { Transaction } from '../../store/catalog/catalog.ts';
import { changeTable } from '../../store/catalog/ddl-records.ts';
import { recordDecision } from '../../store/catalog/decisions.ts';
import {
  currentMapping,
  findMappings,
  insertMapping,
  lockMappings,
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
/** So often a version of somebody else may come in between. */
const maxTries = 5;

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

async function setInDestination(
  server: ServerContext,
  { source, stream, destination }: Mapping,
  order: SetField,
): Promise<FieldVersion> {
  const { destinations } = await readCurrent(server);
  await using open = await openDestination(
    server,
    destination,
    requireBlock('destination', destinations, destination),
  );
  await open.destination.prepare(AbortSignal.timeout(ddlTimeoutMs));
  for (let tries = 1; ; tries += 1) {
    const current = await currentMapping(server.catalog, { source, stream, destination });
    if (!current) throw new PipelineError('conflict', `the mapping of ${source}.${stream} is gone`);
    try {
      // Awaited here: the destination stays open until the change is over.
      return await setFrom(server, open.destination, { current, order });
    } catch (error) {
      if (!isPipelineError(error, 'conflict') || tries >= maxTries) throw error;
    }
  }
}

/**
 * The new version is saved when the table has changed and nothing of it is durable: an order that
 * the table's rows do not allow is refused and leaves everything as it was, and a change that got
 * lost behind its version is made by the next batch, or by the same order once more.
 * @throws PipelineError `conflict` when somebody else made another version meanwhile
 */
async function setFrom(
  { catalog }: ServerContext,
  to: Destination,
  { current, order }: { readonly current: Mapping; readonly order: SetField },
): Promise<FieldVersion> {
  const { mapping, changed } = setFieldType(current, order);
  const { destination, version } = mapping;
  let saved = false;
  const save = async (tx: Transaction) => {
    saved = false;
    if (changed) await saveVersion(tx, mapping, order);
    saved = changed;
  };
  const signal = AbortSignal.timeout(ddlTimeoutMs);
  try {
    const applied = await changeTable(catalog, to, { mapping, batchId: null, signal, save });
    const statements = applied.map(({ statement }) => statement);
    return { destination, version, changed, statements };
  } catch (error) {
    throw saved ? explainSaved(error, version) : error;
  }
}

async function saveVersion(
  tx: Transaction,
  mapping: Mapping,
  { field, type }: SetField,
): Promise<void> {
  const { source, stream, destination, version } = mapping;
  await lockMappings(tx, { source, destination });
  const reason = `${field}: ${type}, by order`;
  if (!(await insertMapping(tx, mapping, { author: 'admin', reason }))) {
    throw new PipelineError(
      'conflict',
      `the mapping of ${source}.${stream} changes at this moment: say it again`,
    );
  }
  const subject = `${source}.${stream} → ${destination}`;
  const details = { field, type, version };
  await recordDecision(tx, { author: 'admin', action: 'mapping set', subject, details });
}

function explainSaved(error: unknown, version: number): unknown {
  // Where the catalog is at fault, nobody knows whether it stands.
  if (!isPipelineError(error) || error.kind === 'catalog-unavailable') return error;
  const { kind, message, details } = error;
  return new PipelineError(
    kind,
    `${message}; version ${version} of the mapping stands: the table follows with its next batch, or with the same order once more`,
    { cause: error, details },
  );
}
