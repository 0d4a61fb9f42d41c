import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, realpath, rm } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { until } from './until.ts';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../../', import.meta.url));

/** Who runs Millrace: an account of this machine. */
export interface Person {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

export interface FreshClone extends AsyncDisposable {
  readonly directory: string;
  readonly environment: NodeJS.ProcessEnv;
  /** Runs a program of the clone's owner to its end. */
  run(program: string, ...args: string[]): Promise<string>;
  /** `npm start`, as in a terminal: a process group of its own. */
  start(...args: string[]): Start;
}

/** A running `npm start`. */
export interface Start {
  /** Resolves when npm has ended, by itself or by a signal. */
  readonly ended: Promise<void>;
  /** All it has said so far, on stdout and stderr. */
  said(): string;
  /** Resolves with the seconds that it took when the ready block is complete. */
  ready(deadlineMs: number): Promise<number>;
  /** Resolves with the seconds that it took when all is down, after Ctrl-C. */
  interrupt(): Promise<number>;
}

export interface CloneOptions {
  readonly person: Person;
  /** Folder with npm's own programs, first on the PATH. */
  readonly npmBin: string;
  /** Holds npm's, Go's and Millrace's caches; empty on a fresh machine. */
  readonly caches: string;
}

/** Clones what is committed here into a new folder below the person's home. */
export async function cloneFor({ person, npmBin, caches }: CloneOptions): Promise<FreshClone> {
  const folder = await mkdtemp(join(await realpath(person.home), 'millrace-fresh-'));
  const directory = join(folder, 'millrace');
  await run('git', ['clone', '--quiet', root, directory]);
  await mkdir(caches, { recursive: true });
  await own(person, folder, caches);
  const environment = environmentOf(person, npmBin, caches);
  const options = { cwd: directory, env: environment, ...identityOf(person) };
  return {
    directory,
    environment,
    async run(program, ...args) {
      return (await run(program, args, { ...options, maxBuffer: 2 ** 26 })).stdout;
    },
    start(...args) {
      const more = args.length === 0 ? [] : ['--', ...args];
      const child = spawn('npm', ['start', ...more], { ...options, detached: true });
      return follow(child);
    },
    async [Symbol.asyncDispose]() {
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Gives a folder the build of Temporal that another one holds. */
export async function shareBuild(from: string, to: string): Promise<void> {
  await cp(join(from, 'xdg', 'millrace'), join(to, 'xdg', 'millrace'), { recursive: true });
}

async function own({ uid, gid }: Person, ...folders: readonly string[]): Promise<void> {
  if (process.getuid?.() === 0) await run('chown', ['-R', `${uid}:${gid}`, ...folders]);
}

function identityOf({ uid, gid }: Person): { uid?: number; gid?: number } {
  return process.getuid?.() === 0 ? { uid, gid } : {};
}

/** A login of that person: nothing of npm, of the tests or of another Millrace around them. */
function environmentOf(person: Person, npmBin: string, caches: string): NodeJS.ProcessEnv {
  const foreign =
    /^(npm_|MILLRACE_|TEMPORAL_|DATABASE_URL|VITEST|NODE_(ENV|OPTIONS|PATH)|TEST$|INIT_CWD|XDG_)/;
  const kept = /^npm_config_(registry|cafile|https?_proxy)$/;
  const around = Object.entries(process.env).filter(
    ([name]) => kept.test(name) || !foreign.test(name),
  );
  return {
    ...Object.fromEntries(around),
    HOME: person.home,
    USER: person.name,
    LOGNAME: person.name,
    PATH: [npmBin, ...systemPath()].join(delimiter),
    npm_config_cache: join(caches, 'npm'),
    XDG_CACHE_HOME: join(caches, 'xdg'),
    GOMODCACHE: join(caches, 'go-mod'),
    GOCACHE: join(caches, 'go-build'),
    GOFLAGS: '-modcacherw',
  };
}

/** The PATH without Node 24 of this clone. */
export function systemPath(): readonly string[] {
  const path = (process.env['PATH'] ?? '').split(delimiter);
  return path.filter((folder) => folder !== '' && !folder.includes('node_modules'));
}

function follow(child: ChildProcess): Start {
  const startedAt = performance.now();
  let said = '';
  let ended = false;
  const keep = (chunk: Buffer) => void (said += chunk.toString());
  child.stdout?.on('data', keep);
  child.stderr?.on('data', keep);
  const exit = once(child, 'exit').then(() => void (ended = true));
  const secondsFrom = (time: number) => Math.round(performance.now() - time) / 1000;
  return {
    ended: exit,
    said: () => said,
    async ready(deadlineMs) {
      await until('the ready block', async () => ended || isReady(said), deadlineMs).catch(
        (cause: unknown) => {
          throw new Error(`npm start is not ready. It said:\n${said}`, { cause });
        },
      );
      if (!isReady(said)) throw new Error(`npm start ended. It said:\n${said}`);
      return secondsFrom(startedAt);
    },
    async interrupt() {
      const askedAt = performance.now();
      if (child.pid !== undefined && !ended) process.kill(-child.pid, 'SIGINT');
      await exit;
      return secondsFrom(askedAt);
    },
  };
}

const isReady = (said: string): boolean => said.includes('stops everything; the next start');
