import { setTimeout as sleep } from 'node:timers/promises';
import { PipelineError } from '../core/errors.ts';
import type { InstanceInfo } from '../local/instance.ts';
import { askReady } from './api.ts';

const patienceMs = 60_000;
const pauseMs = 100;

/** Waits until the server says that catalog, Temporal and worker are there. */
export async function waitUntilHealthy({ console: url, home }: InstanceInfo): Promise<void> {
  const deadline = Date.now() + patienceMs;
  for (;;) {
    const { ready, reasons } = await askReady(url);
    if (ready) return;
    if (Date.now() > deadline) {
      const message = `not ready: ${reasons.join('; ')}; the logs are in ${home}/logs`;
      throw new PipelineError('temporal-unavailable', message);
    }
    await sleep(pauseMs);
  }
}
