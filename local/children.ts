import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { ChildSpec } from './child.ts';
import type { Home } from './home.ts';
import { waitForReadyLine } from './ready-line.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

/** What server and worker are told of this instance, beside their ordinary environment. */
export interface InstanceSettings {
  readonly catalogUrl: string;
  /** Absent without an embedded Postgres. */
  readonly warehouseBaseUrl?: string;
  readonly temporalAddress: string;
  readonly httpPort: number;
}

/** Commands of our own two children; tests put stand-ins in their place. */
export interface ChildCommands {
  readonly server: readonly string[];
  readonly worker: readonly string[];
}

/**
 * V8 keeps room for young objects in each thread, as large as it ever needed: with Node 24 up to
 * 128 MiB, which was most of what a worker took after a batch of failures. This is up to 32 MiB.
 */
const thriftyHeap = '--max-semi-space-size=16';

export const ownCommands: ChildCommands = {
  server: [process.execPath, join(root, 'server', 'main.ts')],
  worker: [process.execPath, thriftyHeap, join(root, 'workers', 'main.ts')],
};

export function createEnvironment(
  home: Home,
  settings: InstanceSettings,
  env: NodeJS.ProcessEnv,
): NodeJS.ProcessEnv {
  return {
    ...env,
    TEMPORAL_NAMESPACE: env.TEMPORAL_NAMESPACE || 'default',
    MILLRACE_HOME: home.directory,
    MILLRACE_CATALOG_URL: settings.catalogUrl,
    MILLRACE_WAREHOUSE_BASE_URL: settings.warehouseBaseUrl,
    TEMPORAL_ADDRESS: settings.temporalAddress,
    MILLRACE_HTTP_PORT: String(settings.httpPort),
    MILLRACE_SECRET_KEY_FILE: home.secretKey,
    MILLRACE_ADMIN_TOKEN_FILE: home.adminToken,
  };
}

/**
 * The worker moves blocks of a MiB through many threads. By default glibc keeps what they free, for
 * each thread; given back at once it takes a quarter less memory, at the same speed.
 */
const thriftyMalloc = { MALLOC_MMAP_THRESHOLD_: '262144', MALLOC_ARENA_MAX: '4' };

export function createWorkerSpec(home: Home, command: readonly string[], env: NodeJS.ProcessEnv) {
  return createSpec(home, 'worker', command, { ...thriftyMalloc, ...env });
}

/** The server serves once it says so and finds catalog, Temporal and worker in order (/readyz). */
export function createServerSpec(
  home: Home,
  command: readonly string[],
  env: NodeJS.ProcessEnv,
): ChildSpec {
  const spec = createSpec(home, 'server', command, env);
  return {
    ...spec,
    async waitUntilReady(start) {
      await spec.waitUntilReady(start);
      const url = `http://127.0.0.1:${env.MILLRACE_HTTP_PORT}/readyz`;
      while (!(await answersOk(url))) await sleep(100, undefined, { signal: start.signal });
    },
  };
}

function createSpec(
  home: Home,
  name: string,
  command: readonly string[],
  env: NodeJS.ProcessEnv,
): ChildSpec {
  const logFile = join(home.logs, `${name}.log`);
  return {
    name,
    command,
    env,
    cwd: process.cwd(),
    stopSignal: 'TERM',
    graceMs: 2_500,
    logFile,
    readyTimeoutMs: 90_000,
    failureKind: 'temporal-unavailable',
    waitUntilReady: (start) => waitForReadyLine(logFile, start),
  };
}

async function answersOk(url: string): Promise<boolean> {
  try {
    return (await fetch(url, { signal: AbortSignal.timeout(2_000) })).ok;
  } catch {
    return false;
  }
}
