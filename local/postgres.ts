import { execFile } from 'node:child_process';
import { access, chown, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { PipelineError } from '../core/errors.ts';
import type { ChildSpec } from './child.ts';
import { keepSecret, type Home } from './home.ts';
import { canConnect, databaseRole, databaseUrl, ensureRole } from './postgres-databases.ts';
import type { PostgresPlace } from './postgres-place.ts';
import { isAlive, refOf, signalProcess, waitUntil } from './processes.ts';

const run = promisify(execFile);

/**
 * Values of rows must not reach a log (G14), so that refused statements are not logged at all.
 * Everything about durability keeps its safe default.
 */
const settings: Readonly<Record<string, string>> = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: '200',
  max_wal_size: '2GB',
  wal_level: 'logical',
  log_min_messages: 'fatal',
  log_min_error_statement: 'panic',
  log_error_verbosity: 'terse',
  log_timezone: 'UTC',
  timezone: 'UTC',
};

export interface EmbeddedPostgres {
  readonly spec: ChildSpec;
  /** URL without a database, for the role that Millrace uses. */
  readonly baseUrl: string;
  /** To be called once it serves: makes the role. */
  completeRole(): Promise<void>;
}

/** Makes the cluster on the first start, and says how the server is run. */
export async function preparePostgres(
  home: Home,
  place: PostgresPlace,
  { port, signal }: { port: number; signal: AbortSignal },
): Promise<EmbeddedPostgres> {
  const superuserPassword = await keepSecret(join(home.directory, 'postgres-superuser-password'));
  const password = await keepSecret(join(home.directory, 'postgres-password'));
  if (!(await exists(join(place.data, 'PG_VERSION'))))
    await createCluster(place, superuserPassword, signal);
  const superuserUrl = `postgres://postgres:${superuserPassword}@127.0.0.1:${port}/postgres`;
  const baseUrl = `postgres://${databaseRole}:${password}@127.0.0.1:${port}`;
  return {
    spec: toSpec(home, place, { port, superuserUrl }),
    baseUrl,
    async completeRole() {
      await ensureRole(superuserUrl, password);
      if (await canConnect(databaseUrl(baseUrl, 'postgres'))) return;
      throw new PipelineError(
        'catalog-unavailable',
        'Postgres refuses the role that was just made.',
      );
    },
  };
}

function toSpec(
  home: Home,
  place: PostgresPlace,
  { port, superuserUrl }: { port: number; superuserUrl: string },
): ChildSpec {
  const options = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  return {
    name: 'Postgres',
    command: [join(place.bin, 'postgres'), '-D', place.data, '-p', String(port), ...options],
    env: plainEnvironment(home),
    ...(place.identity && { identity: place.identity }),
    cwd: '/',
    stopSignal: 'INT',
    graceMs: 1_800,
    logFile: join(home.logs, 'postgres.log'),
    readyTimeoutMs: 60_000,
    failureKind: 'catalog-unavailable',
    async waitUntilReady({ signal }) {
      while (!(await canConnect(superuserUrl))) await sleep(50, undefined, { signal });
    },
  };
}

/** Nothing of our environment but what a program needs: no secret goes where it has no business. */
export function plainEnvironment(home: Home): NodeJS.ProcessEnv {
  const { PATH, LANG, HOME } = process.env;
  return { PATH, LANG, HOME, TZ: 'UTC', MILLRACE_HOME: home.directory };
}

/** Under a name of its own until it is complete, so that a killed initdb leaves no half cluster. */
async function createCluster(
  place: PostgresPlace,
  password: string,
  signal: AbortSignal,
): Promise<void> {
  const draft = `${place.data}-new`;
  const passwordFile = `${place.data}-password`;
  await rm(draft, { recursive: true, force: true });
  await mkdir(dirname(place.data), { recursive: true, mode: 0o700 });
  await writeFile(passwordFile, password, { mode: 0o600 });
  if (place.identity) await chown(passwordFile, place.identity.uid, place.identity.gid);
  try {
    await run(join(place.bin, 'initdb'), initdbOptions(draft, passwordFile), {
      ...place.identity,
      signal,
      cwd: '/',
      env: { PATH: process.env.PATH, TZ: 'UTC', LC_ALL: 'C' },
    });
    await rename(draft, place.data);
  } catch (error) {
    signal.throwIfAborted();
    throw explainInitdb(place.data, error);
  } finally {
    await rm(passwordFile, { force: true });
    await rm(draft, { recursive: true, force: true });
  }
}

function initdbOptions(data: string, passwordFile: string): string[] {
  const locale = process.platform === 'linux' ? ['--locale=C.UTF-8'] : ['--no-locale'];
  return [
    `--pgdata=${data}`,
    '--username=postgres',
    '--auth=scram-sha-256',
    `--pwfile=${passwordFile}`,
    '--encoding=UTF8',
    ...locale,
  ];
}

function explainInitdb(data: string, error: unknown): PipelineError {
  const output = error instanceof Error && 'stderr' in error ? String(error.stderr) : String(error);
  if (/No space left on device|Disk quota exceeded/.test(output)) {
    return new PipelineError(
      'staging-unavailable',
      `The disk is full where Postgres keeps its data (${data}). Free some space (1 GiB at least), then start again.`,
      { cause: error },
    );
  }
  const lines = output.trim().split('\n');
  const reason = lines.findLast((line) => line.includes('error:')) ?? lines.at(-1) ?? '';
  return new PipelineError(
    'catalog-unavailable',
    `Postgres could not create its data in ${data}. ${reason}`.trim(),
    { cause: error },
  );
}

/** A postmaster whose supervisor was killed is about to end by its life-line; this makes sure. */
export async function endLeftoverPostgres(data: string): Promise<void> {
  const [pidLine = '', folder] = await readFile(join(data, 'postmaster.pid'), 'utf8').then(
    (text) => text.split('\n'),
    () => [],
  );
  const postmaster = refOf(Number(pidLine));
  if (folder !== data || !isAlive(postmaster) || !(await isPostgres(postmaster.pid))) return;
  signalProcess(postmaster.pid, 'SIGINT');
  if (await waitUntil(() => !isAlive(postmaster), 10_000)) return;
  signalProcess(postmaster.pid, 'SIGKILL');
  await waitUntil(() => !isAlive(postmaster), 5_000);
}

/** The pid in an old file may belong to anybody by now. */
async function isPostgres(pid: number): Promise<boolean> {
  if (process.platform !== 'linux') {
    const { stdout } = await run('ps', ['-o', 'comm=', '-p', String(pid)]).catch(() => ({
      stdout: '',
    }));
    return stdout.includes('postgres');
  }
  const name = await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '');
  return name.trim() === 'postgres';
}

async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}
