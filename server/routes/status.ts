import { Hono } from 'hono';
import { must } from '../../core/errors.ts';
import { countOpen } from '../../store/catalog/batches.ts';
import { readConfigurationVersion } from '../../store/catalog/configurations.ts';
import { listStopped } from '../../store/catalog/deliveries.ts';
import { listStoppedLanes, listUnread } from '../../store/catalog/lanes.ts';
import { listPaused } from '../../store/catalog/pauses.ts';
import { listHolds } from '../../store/catalog/source-holds.ts';
import { isWorkerPolling } from '../../temporal/client.ts';
import type {
  PlatformAnswer,
  StatusAnswer,
  StoppedLane,
  UnreadLane,
  VersionAnswer,
} from '../contract/status.ts';
import type { ServerContext } from '../context.ts';
import type { TemporalLink } from '../temporal-link.ts';
import { version } from '../../config/version.ts';
import { listDestinations } from './destinations.ts';

const probeTimeoutMs = 1_500;

export function statusRoutes(server: ServerContext): Hono {
  return new Hono()
    .get('/status', async (context) => context.json(await readStatus(server)))
    .get('/platform', async (context) => context.json(await readPlatform(server)))
    .get('/version', (context) => {
      const answer: VersionAnswer = { version };
      return context.json(answer);
    });
}

async function readPlatform({ catalog, temporal }: ServerContext): Promise<PlatformAnswer> {
  const { rows } = await catalog.query<Omit<PlatformAnswer, 'temporal'>>(
    `SELECT current_setting('server_version') AS postgres,
            current_setting('fsync')::boolean AS fsync,
            (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS superuser`,
  );
  return { ...must(rows[0], 'the settings of the catalog'), temporal: await askVersion(temporal) };
}

/** Null: Temporal is away, and `status` says so. */
async function askVersion(temporal: TemporalLink): Promise<string | null> {
  try {
    return await temporal.use(async ({ client }) => {
      const { serverVersion } = await client.workflowService.getSystemInfo({});
      return serverVersion || null;
    });
  } catch {
    return null;
  }
}

async function readStatus(server: ServerContext): Promise<StatusAnswer> {
  const { catalog, installation, temporal } = server;
  return {
    version,
    installation,
    configurationVersion: await readConfigurationVersion(catalog),
    temporal: temporal.health,
    worker: await hasWorker(server),
    destinations: await listDestinations(server),
    stoppedLanes: await readStoppedLanes(server),
    unread: await readUnread(server),
    stopped: await listStopped(catalog, { sources: 'all' }),
    paused: (await listPaused(catalog)).map(({ pipeline }) => pipeline),
    open: await countOpen(catalog, { sources: 'all' }),
  };
}

export async function readStoppedLanes({ catalog }: ServerContext): Promise<StoppedLane[]> {
  const held = (await listHolds(catalog)).map((hold) => ({ ...hold, lane: '*', state: 'held' }));
  const lanes = await listStoppedLanes(catalog);
  const stopped = lanes.map(({ source, lane, state, stopKind: kind, stopMessage: message }) => ({
    source,
    lane,
    state,
    kind,
    message,
  }));
  return [...held, ...stopped];
}

export async function readUnread({ catalog }: ServerContext): Promise<UnreadLane[]> {
  const lanes = await listUnread(catalog);
  return lanes.map(({ source, lane, unread }) => ({ source, lane, ...unread }));
}

async function hasWorker({ temporal }: ServerContext): Promise<boolean> {
  return askWorker(temporal).catch(() => false); // Temporal is away: `temporal` says so
}

/** Whether some worker polls. @throws PipelineError `temporal-unavailable`, soon */
export function askWorker(temporal: TemporalLink): Promise<boolean> {
  return temporal.use(isWorkerPolling, probeTimeoutMs);
}
