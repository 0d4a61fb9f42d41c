import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ApplicationFailure } from '@temporalio/common';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import type { Activities } from '../../activities/contract.ts';
import { Child } from '../../local/child.ts';
import { openHome } from '../../local/home.ts';
import { choosePorts } from '../../local/ports.ts';
import { createTemporalSpec } from '../../local/temporal.ts';
import {
  connectTemporal,
  readTemporalSettings,
  type TemporalAccess,
} from '../../temporal/client.ts';
import { ensureWorkflowBundle } from '../../workers/workflow-bundle.ts';

export interface TemporalServer extends AsyncDisposable {
  /** A worker on a task queue of its own, with the real workflows and these activities. */
  startWorker(fakes: Partial<Activities>): Promise<FakeWorker>;
}

export interface FakeWorker extends AsyncDisposable, TemporalAccess {}

/** A real Temporal server; histories ask to continue as new after `suggestAfterEvents`. */
export async function startTemporalServer({
  suggestAfterEvents,
}: {
  readonly suggestAfterEvents: number;
}): Promise<TemporalServer> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-temporal-'));
  const home = await openHome(join(folder, 'home'));
  const ports = await choosePorts('auto', undefined, []);
  const spec = createTemporalSpec(home, ports, process.env);
  const flag = `limit.historyCount.suggestContinueAsNew=${suggestAfterEvents}`;
  const command = [...spec.command, '--dynamic-config-value', flag];
  const server = new Child({ ...spec, command });
  await server.start();
  const logging = { forward: {}, filter: 'ERROR' };
  Runtime.install({ logger: new DefaultLogger('ERROR'), telemetryOptions: { logging } });
  const address = `127.0.0.1:${ports.temporal}`;
  const codePath = await ensureWorkflowBundle();
  const connection = await NativeConnection.connect({ address });
  return {
    async startWorker(fakes) {
      const taskQueue = `queue-${randomUUID()}`;
      const settings = readTemporalSettings({ TEMPORAL_ADDRESS: address });
      const access = await connectTemporal({ ...settings, taskQueue });
      const worker = await Worker.create({
        connection,
        taskQueue,
        workflowBundle: { codePath },
        activities: { ...refusals(), ...fakes },
      });
      const done = worker.run();
      return {
        ...access,
        async [Symbol.asyncDispose]() {
          worker.shutdown();
          await done;
          await access.close();
        },
      };
    },
    async [Symbol.asyncDispose]() {
      await connection.close();
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** An activity that a test did not expect fails at once instead of being awaited for ever. */
function refusals(): Record<string, () => never> {
  const names: readonly (keyof Activities)[] = [
    'planBatches',
    'extract',
    'syncSchema',
    'mapBatch',
    'load',
    'startReviews',
    'countOpen',
    'freezeRestream',
    'restreamStatus',
    'beginBackfill',
    'backfillStatus',
    'tuneBackfill',
    'reconcile',
    'probeDestinations',
    'sweep',
  ];
  const refuse = (name: string) => () => {
    throw ApplicationFailure.nonRetryable(`${name} was not expected in this test`);
  };
  return Object.fromEntries(names.map((name) => [name, refuse(name)]));
}
