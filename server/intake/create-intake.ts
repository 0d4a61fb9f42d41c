import { statfs } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { encodeChunk } from '../../intake/encode-chunk.ts';
import { IntakeGate } from '../../intake/gate.ts';
import { GroupCommit } from '../../intake/group-commit.ts';
import { openCatalog, type Catalog } from '../../store/catalog/catalog.ts';
import {
  appendChunk,
  appendUnparsedBody,
  storedBytes,
  type AppendedChunk,
} from '../../store/catalog/intake-chunks.ts';
import { isPaused } from '../../store/catalog/pauses.ts';
import { listHolds } from '../../store/catalog/source-holds.ts';
import { requestSync } from '../../temporal/syncs.ts';
import type { ServerContext } from '../context.ts';
import { isAdminToken, isAllowedHost } from '../guard.ts';
import { SourceDirectory } from './directory.ts';
import { EventsEndpoint, type EndpointParts } from './events-endpoint.ts';
import { Nudges } from './nudges.ts';
import { BodyBudget } from './read-body.ts';

const MiB = 2 ** 20;
const refreshMs = 1_000;
const statementTimeoutMs = 8_000;
const connections = 4;
const maxBodiesBytes = 24 * MiB;
const maxQueuedBytes = 16 * MiB;
const maxChunkBytes = 4 * MiB;

type IntakeContext = Pick<ServerContext, 'environment' | 'temporal' | 'log'>;

export interface IntakeOptions {
  /** More headers than a server reads. */
  readonly maxHeaders: number;
  /** Stores a chunk durably; tests put something in its place. */
  readonly append?: typeof appendChunk;
}

export interface Intake {
  handle(request: IncomingMessage, response: ServerResponse): Promise<void>;
  /** Reads tokens and configuration anew, at once. */
  readonly refresh: () => Promise<void>;
}

/** The intake of this server, on connections of its own: nothing else may keep them busy. */
export function createIntake(
  context: IntakeContext,
  { maxHeaders, append = appendChunk }: IntakeOptions,
): Intake {
  const { environment, log } = context;
  const catalog = openCatalog({
    url: environment.catalogUrl,
    applicationName: 'millrace-intake',
    maxConnections: connections,
    statementTimeoutMs,
  });
  const directory = new SourceDirectory(catalog, environment.secretKey);
  const gate = new IntakeGate({
    minFreeBytes: environment.minFreeBytes,
    readFreeBytes: () => readFreeBytes(environment.home),
    now: Date.now,
  });
  const nudges = new Nudges((source) => tellTemporal(context, catalog, source), log);
  const onAppended = (source: string, chunk: AppendedChunk) => {
    gate.noteStored(source, chunk.storedBytes);
    nudges.nudge(source);
  };
  const sink = new GroupCommit({
    append: (chunk) => append(catalog, chunk),
    onAppended,
    maxQueuedBytes,
    maxChunkBytes,
  });
  const endpoint = new EventsEndpoint({
    directory,
    gate,
    sink,
    budget: new BodyBudget(maxBodiesBytes),
    keepUnparsed: keepUnparsed(catalog, onAppended),
    isAdmin: (token) => isAdminToken(environment, token),
    isAllowedHost: (host) => isAllowedHost(environment, host),
    maxHeaders,
    log,
  });
  const refresh = async () => {
    await directory.refresh();
    const held = await listHolds(catalog);
    gate.noteHeld(new Map(held.map(({ source, message }) => [source, message])));
    for (const { source, bytes } of await storedBytes(catalog)) gate.noteStored(source, bytes);
  };
  keepFresh(refresh);
  return { handle: (request, response) => endpoint.handle(request, response), refresh };
}

function keepUnparsed(
  catalog: Catalog,
  onAppended: (source: string, chunk: AppendedChunk) => void,
): EndpointParts['keepUnparsed'] {
  return async (source, event, sha256) => {
    const content = encodeChunk([event]);
    const body = { source, sha256, eventId: event.id, events: 1, content };
    const { eventId, appended } = await appendUnparsedBody(catalog, body);
    if (appended) onAppended(source, appended);
    return eventId;
  };
}

/** While the catalog is away what is known stays in force. */
function keepFresh(refresh: () => Promise<void>): void {
  const round = () => {
    void refresh()
      .catch(() => undefined)
      .then(() => setTimeout(round, refreshMs));
  };
  round();
}

/** What comes in while the pipeline is paused waits in the intake. */
async function tellTemporal(
  { temporal }: IntakeContext,
  catalog: Catalog,
  source: string,
): Promise<void> {
  if (await isPaused(catalog, source)) return;
  await temporal.use((access) => requestSync(access, source));
}

async function readFreeBytes(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}
