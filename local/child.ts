import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, mkdirSync, openSync, statSync, truncateSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { PipelineError, must } from '../core/errors.ts';
import type { FailureKind } from '../core/failures.ts';
import { withLifeLine } from './life-line.ts';
import {
  groupExists,
  refOf,
  signalGroup,
  signalProcess,
  waitUntil,
  type ProcessRef,
} from './processes.ts';

const maxLogBytes = 10 * 1024 * 1024;
const backoff = { firstMs: 200, lastMs: 5_000, resetAfterMs: 10_000 };
const exitsBeforeReady = 4;
/** The kernel ends killed processes within milliseconds, unless a disk hangs. */
const sweepTimeoutMs = 1_000;

export interface ChildSpec {
  readonly name: string;
  readonly command: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  /** Another user than ours: Postgres refuses to run as root. */
  readonly identity?: { readonly uid: number; readonly gid: number };
  readonly cwd: string;
  /** A folder of its own, made anew before a start where somebody removed it. */
  readonly folder?: string;
  /** What asks it to stop, and how long it has before it is killed. */
  readonly stopSignal: 'INT' | 'TERM';
  readonly graceMs: number;
  /** Seconds that it goes on when we were killed, for what others still have to tell it. */
  readonly patience?: number;
  readonly logFile: string;
  /** Resolves when the child serves; called after each start, aborted when the child ends. */
  waitUntilReady(start: ChildStart): Promise<void>;
  readonly readyTimeoutMs: number;
  /** What it means for a person when the child cannot be started. */
  readonly failureKind: FailureKind;
  /** It may come to its end: it is not started again when it ends with 0. */
  readonly onEnd?: () => void;
}

export interface ChildStart {
  readonly signal: AbortSignal;
  /** Where in the log file this start begins. */
  readonly logOffset: number;
}

interface Life {
  readonly served: boolean;
  readonly code: number | null;
}

/**
 * A process that is kept running: when it ends unasked, it is started again, at once and then ever
 * more slowly. It ends with us in any case (`life-line.ts`).
 */
export class Child {
  readonly #spec: ChildSpec;
  readonly #onStart: (wrapper: ProcessRef) => void;
  readonly #stopping = new AbortController();
  #process: ChildProcess | undefined;
  #running: Promise<void> | undefined;
  #restarts = 0;

  /** @param onStart told of the wrapper of each start, so that a later instance can end it */
  constructor(spec: ChildSpec, onStart: (wrapper: ProcessRef) => void = () => undefined) {
    this.#spec = spec;
    this.#onStart = onStart;
  }

  get name(): string {
    return this.#spec.name;
  }

  /** How often it was started again after it had ended unasked. */
  get restarts(): number {
    return this.#restarts;
  }

  /**
   * Starts and keeps running; resolves when the child first serves.
   * @throws PipelineError of the spec's kind when it keeps ending or does not serve in time
   */
  async start(): Promise<void> {
    const ready = Promise.withResolvers<void>();
    this.#running = this.#keepRunning(ready);
    const timeout = AbortSignal.timeout(this.#spec.readyTimeoutMs);
    timeout.addEventListener('abort', () => {
      ready.reject(this.#failure(`was not ready within ${this.#spec.readyTimeoutMs / 1000} s`));
    });
    await ready.promise;
  }

  /** Asks the child to stop, kills it after its grace; resolves when it is gone. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    const child = this.#process;
    if (child?.pid !== undefined) {
      signalProcess(child.pid, `SIG${this.#spec.stopSignal}`);
      const group = child.pid;
      const killer = setTimeout(() => signalGroup(group, 'SIGKILL'), this.#spec.graceMs);
      await this.#running;
      clearTimeout(killer);
    }
    await this.#running;
  }

  async #keepRunning(ready: PromiseWithResolvers<void>): Promise<void> {
    let delayMs = backoff.firstMs;
    let served = false;
    for (let exits = 0; !this.#stopping.signal.aborted;) {
      const startedAt = Date.now();
      const outcome = await this.#runOnce(ready).catch((error: unknown) => ready.reject(error));
      served ||= outcome?.served === true;
      exits += 1;
      if (outcome && this.#hasEnded(outcome)) return ready.resolve();
      if (!served && exits >= exitsBeforeReady) ready.reject(this.#failure('ends at once'));
      if (Date.now() - startedAt > backoff.resetAfterMs) delayMs = backoff.firstMs;
      await sleep(delayMs, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
      delayMs = Math.min(delayMs * 2, backoff.lastMs);
      if (!this.#stopping.signal.aborted) this.#restarts += 1;
    }
    ready.reject(new DOMException(`${this.#spec.name} was stopped`, 'AbortError'));
  }

  /** Whether it came to its end by itself, and may. */
  #hasEnded({ code }: Life): boolean {
    const { onEnd } = this.#spec;
    if (code !== 0 || onEnd === undefined || this.#stopping.signal.aborted) return false;
    onEnd();
    return true;
  }

  /** One life of the child; resolves after its end with whether it ever served, and its exit code. */
  async #runOnce(ready: PromiseWithResolvers<void>): Promise<Life> {
    const ended = new AbortController();
    const { folder, logFile } = this.#spec;
    if (folder !== undefined) mkdirSync(folder, { recursive: true, mode: 0o700 });
    const logOffset = openLog(logFile);
    const child = this.#spawn();
    const exit = new Promise<number | null>((resolve) => {
      child.once('error', () => resolve(null));
      child.once('exit', resolve);
    });
    const serving = this.#serve(ready, { signal: ended.signal, logOffset });
    const code = await exit;
    ended.abort();
    await this.#sweep(child);
    return { served: await serving, code };
  }

  async #serve(ready: PromiseWithResolvers<void>, start: ChildStart): Promise<boolean> {
    try {
      await this.#spec.waitUntilReady(start);
      ready.resolve();
      return true;
    } catch (error) {
      if (!start.signal.aborted) ready.reject(error);
      return false;
    }
  }

  #spawn(): ChildProcess {
    const { command, env, cwd, identity, stopSignal, patience, logFile } = this.#spec;
    const [program, ...args] = withLifeLine(stopSignal, command, patience);
    const log = openSync(logFile, 'a', 0o600);
    const child = spawn(program, args, {
      ...identity,
      env,
      cwd,
      detached: true,
      stdio: ['ignore', log, log, 'pipe'],
    });
    closeSync(log);
    child.stdio[3]?.on('error', () => undefined);
    this.#process = child;
    if (child.pid !== undefined) this.#onStart(refOf(child.pid));
    return child;
  }

  /** Ends what a killed wrapper left behind, and the reader of the life-line. */
  async #sweep(child: ChildProcess): Promise<void> {
    this.#process = undefined;
    child.stdio[3]?.destroy();
    const group = child.pid;
    if (group === undefined) return;
    signalGroup(group, 'SIGKILL');
    await waitUntil(() => !groupExists(group), sweepTimeoutMs, 10);
  }

  #failure(what: string): PipelineError {
    const { name, failureKind, logFile } = this.#spec;
    return new PipelineError(failureKind, `${name} ${what}. Its log says why: ${logFile}`);
  }
}

/** Empties a log that has grown too large; returns where the next line will stand. */
function openLog(file: string): number {
  closeSync(openSync(file, 'a', 0o600));
  const { size } = must(statSync(file), 'log file');
  if (size <= maxLogBytes) return size;
  truncateSync(file);
  return 0;
}
