import { statfs } from 'node:fs/promises';
import { Hono } from 'hono';
import { PipelineError } from '../../core/errors.ts';
import { countOpen, listRunnable, readClock } from '../../store/catalog/batches.ts';
import { listStopped, reopenLost, reopenStopped } from '../../store/catalog/deliveries.ts';
import { resumePausedLanes } from '../../store/catalog/lanes.ts';
import { readDestinationStates } from '../../store/catalog/destinations.ts';
import { listPaused } from '../../store/catalog/pauses.ts';
import { listWantedSyncs, wantSync } from '../../store/catalog/wanted-syncs.ts';
import { readObstacles } from '../../temporal/syncs.ts';
import { readBody, readQuery } from '../answers.ts';
import {
  progressQuery,
  syncBody,
  type ProgressAnswer,
  type SyncAnswer,
} from '../contract/syncs.ts';
import { readCurrent, requireBlock, type ServerContext } from '../context.ts';
import { askForSyncs, explainDelay } from '../request-syncs.ts';
import { readStoppedLanes, readUnread } from './status.ts';

const obstaclesTimeoutMs = 2_000;
const leastFreeBytes = 16 * 2 ** 20;

export function syncRoutes(server: ServerContext): Hono {
  return new Hono()
    .post('/', async (context) => {
      const { pipelines } = await readBody(context, syncBody);
      return context.json(await requestSyncs(server, pipelines));
    })
    .get('/', async (context) => {
      const { sources, until } = readQuery(context, progressQuery);
      return context.json(await readProgress(server, sources.split(',').filter(Boolean), until));
    });
}

/** The wish is a row first: if Temporal does not hear of it, `maintain` finds it. */
async function requestSyncs(
  server: ServerContext,
  names: readonly string[] | undefined,
): Promise<SyncAnswer> {
  const { catalog } = server;
  const { pipelines } = await readCurrent(server);
  const held = new Set((await listPaused(catalog)).map(({ source }) => source));
  const chosen = (names ?? Object.keys(pipelines)).map((name) => {
    const { source } = requireBlock('pipeline', pipelines, name);
    return { name, source };
  });
  const paused = chosen.filter(({ source }) => held.has(source)).map(({ name }) => name);
  if (names !== undefined && paused.length > 0) throw pausedError(paused);
  const sources = chosen.map(({ source }) => source).filter((source) => !held.has(source));
  for (const source of sources) {
    await wantSync(catalog, source);
    await resumePausedLanes(catalog, source);
    await reopenLost(catalog, source);
    await reopenStopped(catalog, source);
  }
  return { sources, paused, delayed: await askForSyncs(server, sources) };
}

function pausedError(names: readonly string[]): PipelineError {
  const [name = ''] = names;
  const are = names.length === 1 ? `pipeline ${name} is` : `pipelines ${names.join(', ')} are`;
  return new PipelineError('conflict', `${are} paused: "resume ${name}" lets it go on`);
}

async function readProgress(
  server: ServerContext,
  sources: readonly string[],
  until: string | undefined,
): Promise<ProgressAnswer> {
  const { catalog } = server;
  const stoppedLanes = await readStoppedLanes(server);
  const held = new Set(
    stoppedLanes.filter(({ state }) => state === 'held').map(({ source }) => source),
  );
  const unreachable = await readUnreachable(server);
  // Nobody waits for what is held: it says so itself.
  const going = sources.filter((source) => !held.has(source));
  const wanted = (await listWantedSyncs(catalog)).filter((source) => going.includes(source));
  const asOf = await readClock(catalog); // behind the look at what is wanted
  const obstacles = await findObstacles(server, going);
  return {
    wanted,
    asOf,
    open: await countOpen(catalog, { sources: going, until }),
    stoppedLanes: stoppedLanes.filter(({ source }) => sources.includes(source)),
    unread: (await readUnread(server)).filter(({ source }) => sources.includes(source)),
    stopped: await listStopped(catalog, { sources }),
    unreachable,
    obstacles: [
      ...(await findFullDisk(server)),
      ...unreachable.map(({ message }) => message),
      ...obstacles,
    ],
  };
}

/** Said first: a full disk shows in whatever writes to it, Temporal too. */
async function findFullDisk({ environment }: ServerContext): Promise<readonly string[]> {
  const { home, minFreeBytes } = environment;
  const { bavail, bsize } = await statfs(home);
  const free = bavail * bsize;
  if (free >= Math.max(minFreeBytes, leastFreeBytes)) return [];
  return [
    `the disk that holds the home ${home} is full (${Math.round(free / 2 ** 20)} MiB free): free some space`,
  ];
}

async function readUnreachable({ catalog }: ServerContext): Promise<ProgressAnswer['unreachable']> {
  const states = await readDestinationStates(catalog);
  return states.flatMap(({ destination, state, message }) =>
    state === 'ok' || message === null ? [] : [{ destination, message }],
  );
}

/** Of each source those of its sync, and of the batches that are next in a destination. */
async function findObstacles({ temporal, catalog }: ServerContext, sources: readonly string[]) {
  try {
    return await temporal.use(async (access) => {
      const found = sources.map(async (source) => {
        const next = await listRunnable(catalog, { source, window: 1 });
        const batchIds = next.map(({ batchId }) => batchId);
        return readObstacles(access, { source, batchIds });
      });
      return (await Promise.all(found)).flat();
    }, obstaclesTimeoutMs);
  } catch (error) {
    return [explainDelay(error)];
  }
}
