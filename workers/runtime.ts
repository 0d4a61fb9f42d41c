import { readFile } from 'node:fs/promises';
import {
  DefaultLogger,
  NativeConnection,
  Runtime,
  Worker,
  type WorkerOptions,
} from '@temporalio/worker';
import type { Activities } from '../activities/contract.ts';
import type { ActivityDependencies } from '../activities/dependencies.ts';
import { createActivities } from '../activities/index.ts';
import { armFailpointsFromEnvironment } from '../store/failpoints/arm-failpoints.ts';
import { readEnvironment, type Environment } from '../config/environment.ts';
import { openCatalog, type Catalog } from '../store/catalog/catalog.ts';
import { readInstallation } from '../store/catalog/installation.ts';
import { connectTemporal, readTemporalSettings } from '../temporal/client.ts';
import { createActivityInterceptor } from './activity-interceptor.ts';
import { createDependencies } from './dependencies.ts';
import { untilReady } from './until-ready.ts';
import { ensureWorkflowBundle } from './workflow-bundle.ts';

export interface RunningWorker {
  /** Resolves when the worker has stopped and everything it opened is closed. */
  readonly done: Promise<void>;
  shutdown(): void;
}

export interface WorkerParts {
  readonly environment?: Environment;
  /** Makes what Temporal calls from what it needs; tests put something around either. */
  readonly makeActivities?: (dependencies: ActivityDependencies) => Activities;
}

/** Connects to catalog and Temporal, waiting for both, and polls for work until shut down. */
export async function startWorker({
  environment = readEnvironment(),
  makeActivities = createActivities,
}: WorkerParts = {}): Promise<RunningWorker> {
  Runtime.install({ logger: new DefaultLogger('WARN') });
  armFailpointsFromEnvironment();
  const codePath = await ensureWorkflowBundle();
  const resources = new AsyncDisposableStack();
  const catalog = resources.use(openWorkersCatalog(environment));
  const installation = await untilReady('the catalog', () => readInstallation(catalog));
  const access = await untilReady('Temporal', () => connectTemporal());
  resources.defer(() => access.close());
  const dependencies = createDependencies({
    environment,
    catalog,
    installation,
    access,
    resources,
  });
  const { address, connectionOptions } = readTemporalSettings();
  const connection = await NativeConnection.connect({ ...connectionOptions, address } as never);
  resources.defer(() => connection.close());
  const worker = await Worker.create({
    ...tuning(environment),
    connection,
    namespace: access.namespace,
    taskQueue: access.taskQueue,
    workflowBundle: { code: await withPatience(codePath, environment.patience) },
    activities: makeActivities(dependencies),
  });
  const done = worker.run().finally(() => resources.disposeAsync());
  return { done, shutdown: () => worker.shutdown() };
}

function openWorkersCatalog({ catalogUrl, patience }: Environment): Catalog {
  const idleInTransactionMs = 60_000 * patience;
  return openCatalog({ url: catalogUrl, maxConnections: 10, idleInTransactionMs });
}

/** See `workflows/activity-profiles.ts`. On the first line, so that source maps stay right. */
async function withPatience(codePath: string, patience: number): Promise<string> {
  return `globalThis.millracePatience=${patience};${await readFile(codePath, 'utf8')}`;
}

function tuning({ patience }: Environment): Partial<WorkerOptions> {
  const heartbeatEveryMs = 5_000 * patience;
  return {
    maxConcurrentActivityTaskExecutions: 16,
    maxConcurrentWorkflowTaskExecutions: 20,
    maxCachedWorkflows: 500,
    // How long workflows wait for a worker that died before another one takes them.
    stickyQueueScheduleToStartTimeout: 5_000 * patience,
    maxHeartbeatThrottleInterval: heartbeatEveryMs,
    defaultHeartbeatThrottleInterval: heartbeatEveryMs,
    shutdownGraceTime: '1s',
    shutdownForceTime: '3s',
    interceptors: { activity: [() => ({ inbound: createActivityInterceptor(heartbeatEveryMs) })] },
  };
}
