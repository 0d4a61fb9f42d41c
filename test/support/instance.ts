import { execFile, spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readState } from '../../local/instance.ts';
import { programBehind } from '../../local/processes.ts';
import { queryAt } from './postgres-server.ts';
import { removeHome } from './remove-home.ts';
import { until } from './until.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const cli = join(root, 'cli/main.ts');

export interface CliResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface TestInstanceOptions {
  /** Text of millrace.yaml; without it an empty pipeline. */
  readonly config?: string;
  readonly environment?: NodeJS.ProcessEnv;
  /** Starts it in place of `cli/main.ts`. */
  readonly starter?: string;
}

export interface InstanceUrls {
  readonly console: string;
  readonly temporal: string;
  readonly temporalUi: string;
  readonly catalogUrl: string;
  readonly warehouseUrl: string;
  readonly home: string;
  readonly pid: number;
  readonly destinations: Readonly<Record<string, string>>;
  /** Of the sources that events are posted to, as the first start showed them. */
  readonly tokens: Readonly<Record<string, string>>;
}

/** A whole Millrace of its own: home, ports, PostgreSQL, Temporal, worker and server. */
export interface TestInstance extends AsyncDisposable {
  readonly directory: string;
  readonly urls: InstanceUrls;
  readonly environment: NodeJS.ProcessEnv;
  cli(...args: string[]): Promise<CliResult>;
  /** Runs a verb with `--json` and parses what it prints; `codes` are the exit codes that are fine. */
  json<T>(args: readonly string[], codes?: readonly number[]): Promise<T>;
  write(name: string, content: string | Uint8Array): Promise<string>;
  catalog<T = Record<string, unknown>>(sql: string, values?: unknown[]): Promise<T[]>;
  warehouse<T = Record<string, unknown>>(
    sql: string,
    values?: unknown[],
    name?: string,
  ): Promise<T[]>;
  /** Pid of the program of one child; waits while it is being restarted. */
  pidOf(child: ChildName): Promise<number>;
  /** Starts it again after it went down, or waits until it is healthy; keeps home and ports. */
  up(): Promise<void>;
}

export type ChildName = 'Postgres' | 'Temporal' | 'server' | 'worker';

export async function startInstance(options: TestInstanceOptions = {}): Promise<TestInstance> {
  const directory = await mkdtemp(join(tmpdir(), 'millrace-e2e-'));
  const environment = {
    ...withoutOurs(process.env),
    MILLRACE_HOME: join(directory, 'home'),
    MILLRACE_PATIENCE: '0.1',
    MILLRACE_MAINTAIN_EVERY_MS: '2000',
    ...options.environment,
  };
  if (options.config !== undefined)
    await writeFile(join(directory, 'millrace.yaml'), options.config);
  const run = (args: readonly string[], program?: string) =>
    runCli(args, directory, environment, program);
  const start = async () => {
    const from = options.config === undefined ? ['--no-demo'] : ['-f', 'millrace.yaml'];
    const args = ['up', '--detach', '--json', '--ports', 'auto', ...from];
    const result = await run(args, options.starter);
    if (result.code !== 0) throw new Error(`up failed (${result.code}): ${result.stderr}`);
    return JSON.parse(result.stdout) as InstanceUrls;
  };
  let urls = await start();
  const json = async <T>(args: readonly string[], codes: readonly number[] = [0]) => {
    const result = await run([...args, '--json']);
    if (!codes.includes(result.code)) {
      throw new Error(`${args.join(' ')} ended with ${result.code}: ${result.stderr}`);
    }
    return JSON.parse(result.stdout) as T;
  };
  return {
    directory,
    environment,
    get urls() {
      return urls;
    },
    cli: (...args) => run(args),
    json,
    async write(name, content) {
      await mkdir(dirname(join(directory, name)), { recursive: true });
      await writeFile(join(directory, name), content);
      return join(directory, name);
    },
    catalog: (sql, values) => queryAt(urls.catalogUrl, sql, values),
    warehouse: (sql, values, name = 'warehouse') =>
      queryAt(urls.destinations[name] ?? '', sql, values),
    pidOf: (child) =>
      until(`the program of ${child}`, async () => {
        const wrapper = (await readState(environment.MILLRACE_HOME)).children?.[child];
        return wrapper === undefined ? undefined : programBehind(wrapper.pid);
      }),
    async up() {
      const { tokens } = urls;
      urls = { ...(await start()), tokens };
    },
    async [Symbol.asyncDispose]() {
      await removeHome(environment.MILLRACE_HOME);
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** Runs one verb in a directory and collects what it says. */
export function runCli(
  args: readonly string[],
  directory: string,
  environment: NodeJS.ProcessEnv,
  program = cli,
): Promise<CliResult> {
  return new Promise((resolve) => {
    const options = { cwd: directory, env: environment, maxBuffer: 2 ** 28 };
    const child = execFile(
      process.execPath,
      [program, ...args],
      options,
      (error, stdout, stderr) => {
        resolve({ code: error ? (child.exitCode ?? 1) : 0, stdout, stderr });
      },
    );
  });
}

export function spawnCli(
  args: readonly string[],
  directory: string,
  environment: NodeJS.ProcessEnv,
) {
  return spawn(process.execPath, [cli, ...args], {
    cwd: directory,
    env: environment,
    stdio: 'pipe',
  });
}

/** The tests' own environment without settings of an instance around them. */
export function withoutOurs(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const ours = /^(MILLRACE_|TEMPORAL_ADDRESS|TEMPORAL_NAMESPACE|DATABASE_URL)/;
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !ours.test(name)));
}
