import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Failpoint } from '../../core/failpoints.ts';
import type { TestInstance } from './instance.ts';
import { until } from './until.ts';

const standIn = fileURLToPath(new URL('./stand-ins/attempt.ts', import.meta.url));

export interface AttemptResult {
  /** Number of batches that are planned, or the outcome of each delivery. */
  readonly result: number | readonly string[];
  /** Kinds of the failures after which it tried again. */
  readonly failures: readonly string[];
}

/** A process that does what a worker does, when and as often as it is told. */
export interface Attempts extends AsyncDisposable {
  /** `plan SOURCE` or `batch ID`; begins at once. */
  run(command: string): Promise<AttemptResult>;
  /** Resolves when it stands still at its failpoint. */
  untilStopped(): Promise<void>;
  wake(): void;
}

export interface AttemptsOptions {
  /** Where it stands still, once, until it is woken. */
  readonly stopAt?: Failpoint;
  /** That calls `runAttempts`. */
  readonly program?: string;
}

export async function startAttempts(
  instance: TestInstance,
  { stopAt, program = standIn }: AttemptsOptions = {},
): Promise<Attempts> {
  const home = await mkdtemp(join(instance.directory, 'attempts-'));
  const child = spawn(process.execPath, [program], {
    env: toEnvironment(instance, home, stopAt),
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const exited = once(child, 'exit');
  if ((await lines.next()).done) throw new Error('attempts do not start');
  return {
    async run(command) {
      child.stdin.write(`${command}\n`);
      const { value, done } = await lines.next();
      if (done) throw new Error(`attempts ended before ${command}`);
      return JSON.parse(value) as AttemptResult;
    },
    async untilStopped() {
      const marker = join(home, 'failpoints', `${stopAt}.1`);
      const stands = async () => existsSync(marker) && isStopped(child.pid);
      await until(`an attempt to stand still at ${stopAt}`, stands);
    },
    wake: () => void child.kill('SIGCONT'),
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

function toEnvironment({ urls, environment }: TestInstance, home: string, stopAt?: Failpoint) {
  return {
    ...environment,
    MILLRACE_HOME: home,
    MILLRACE_STAGING: join(urls.home, 'staging'),
    MILLRACE_SECRET_KEY_FILE: join(urls.home, 'secret.key'),
    MILLRACE_CATALOG_URL: urls.catalogUrl,
    MILLRACE_WAREHOUSE_BASE_URL: urls.warehouseUrl.replace(/\/[^/]*$/, ''),
    MILLRACE_PATIENCE: '0.02', // a fence is waited for for 1.2 s
    MILLRACE_THREADS: '1',
    MILLRACE_FAILPOINTS: stopAt === undefined ? '' : `${stopAt}=stop`,
    TEMPORAL_ADDRESS: urls.temporal,
  };
}

export function isStopped(pid: number | undefined): boolean {
  return /^State:\s+T/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
}
