import { setTimeout as sleep } from 'node:timers/promises';
import { PipelineError, must } from '../core/errors.ts';
import { ownCommands, type ChildCommands } from './children.ts';
import type { DemoOptions } from './demo.ts';
import { openHome, withHomeFaults, type Home } from './home.ts';
import { readInstance, type InstanceInfo } from './instance.ts';
import { endLeftovers } from './leftovers.ts';
import { claimHome, releaseHome } from './owner-lock.ts';
import type { PortChoice } from './ports.ts';
import { endLeftoverPostgres } from './postgres.ts';
import { refOf, waitUntil } from './processes.ts';
import { StateFile } from './state-file.ts';
import { Supervisor } from './supervisor.ts';

export interface UpOptions {
  readonly home: string;
  readonly ports: PortChoice;
  /**
   * Destinations without a url: each gets a database in the embedded Postgres. Default:
   * `warehouse`, or none where DATABASE_URL names the catalog.
   */
  readonly embeddedDatabases?: readonly string[];
  /** Sources that are filled and fed by us. */
  readonly demo?: DemoOptions;
  readonly onProgress?: (message: string) => void;
  readonly commands?: Partial<ChildCommands>;
  readonly env?: NodeJS.ProcessEnv;
}

export interface OwnedInstance {
  readonly owned: true;
  readonly info: InstanceInfo;
  stop(): Promise<void>;
  /** Resolves when everything is down, after `stop`, SIGINT or SIGTERM. */
  readonly stopped: Promise<void>;
}

export interface ForeignInstance {
  readonly owned: false;
  readonly info: InstanceInfo;
}

const readyTimeoutMs = 180_000;
/** How long a given-up start may take to notice it. */
const giveUpMs = 2_000;
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Runs an instance in this process, or finds the one that already owns the home and waits until it
 * is healthy. From the call on, SIGINT and SIGTERM stop everything in order; a second one changes
 * nothing. A signal during the start rejects with an `AbortError` once all is down.
 * @throws PipelineError with what to do; nothing is left running then
 */
export async function up(options: UpOptions): Promise<OwnedInstance | ForeignInstance> {
  const home = await openHome(options.home);
  if (await withHomeFaults(home.directory, () => claimHome(home))) return runHere(home, options);
  const info = await waitForOwner(home);
  return info === null ? up(options) : { owned: false, info };
}

async function runHere(home: Home, options: UpOptions): Promise<OwnedInstance> {
  const { env = process.env } = options;
  const stopSignal = watchSignals();
  try {
    const state = await takeOver(home);
    const supervisor = new Supervisor(home, state, {
      ports: options.ports,
      embeddedDatabases: options.embeddedDatabases ?? (env.DATABASE_URL ? [] : ['warehouse']),
      demo: options.demo,
      commands: { ...ownCommands, ...options.commands },
      env,
      onProgress: options.onProgress ?? (() => undefined),
    });
    const start = async (): Promise<InstanceInfo> => {
      const info = await supervisor.start();
      await state.update({ phase: 'ready' });
      return info;
    };
    const info = await startOrStop(
      withHomeFaults(home.directory, start),
      supervisor,
      stopSignal.signal,
    );
    return whileRunning(home, supervisor, { info, stopSignal });
  } catch (error) {
    stopSignal.dispose();
    await releaseHome(home);
    throw error;
  }
}

/** Ends what a killed owner left, and says from now on that the instance is ours. */
async function takeOver(home: Home): Promise<StateFile> {
  const state = await StateFile.open(home.directory);
  const { children = {}, postgresData } = state.current;
  await endLeftovers(home.directory, children);
  if (postgresData !== undefined) await endLeftoverPostgres(postgresData);
  await withHomeFaults(home.directory, () =>
    state.update({ supervisor: refOf(process.pid), phase: 'starting', children: {} }),
  );
  return state;
}

async function startOrStop(
  started: Promise<InstanceInfo>,
  supervisor: Supervisor,
  signal: AbortSignal,
): Promise<InstanceInfo> {
  try {
    return await Promise.race([started, rejectOnAbort(signal)]);
  } catch (error) {
    await supervisor.stop();
    await Promise.race([started.catch(() => undefined), sleep(giveUpMs)]);
    throw error;
  }
}

async function rejectOnAbort(signal: AbortSignal): Promise<never> {
  await once(signal);
  throw signal.reason;
}

function whileRunning(
  home: Home,
  supervisor: Supervisor,
  { info, stopSignal }: { info: InstanceInfo; stopSignal: StopSignal },
): OwnedInstance {
  const stopAll = async (): Promise<void> => {
    await once(stopSignal.signal);
    await supervisor.stop();
    await releaseHome(home);
    stopSignal.dispose();
  };
  const stopped = stopAll();
  return {
    owned: true,
    info,
    stopped,
    stop() {
      stopSignal.stop();
      return stopped;
    },
  };
}

interface StopSignal {
  readonly signal: AbortSignal;
  stop(): void;
  dispose(): void;
}

function watchSignals(): StopSignal {
  const abort = new AbortController();
  const stop = (): void => abort.abort(new DOMException('stopped during the start', 'AbortError'));
  for (const name of signals) process.on(name, stop);
  return {
    signal: abort.signal,
    stop,
    dispose() {
      for (const name of signals) process.off(name, stop);
    },
  };
}

function once(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

/** The owner's URLs once it is healthy; null when it went away before that. */
async function waitForOwner(home: Home): Promise<InstanceInfo | null> {
  let instance = await readInstance(home.directory);
  const settled = await waitUntil(async () => {
    instance = await readInstance(home.directory);
    return instance === null || instance.phase === 'ready';
  }, readyTimeoutMs);
  if (settled) return instance === null ? null : must(instance.info, 'info of a ready instance');
  throw new PipelineError(
    'start-failed',
    `Another process (pid ${instance?.supervisor.pid}) owns the home ${home.directory} and does not become ready. See its logs in ${home.logs}, or stop it with "npm run millrace -- down".`,
  );
}
