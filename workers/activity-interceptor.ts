import { AsyncLocalStorage } from 'node:async_hooks';
import { Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import type {
  ActivityInboundCallsInterceptor,
  ActivityExecuteInput,
  Next,
} from '@temporalio/worker';
import { isPipelineError, type PipelineError } from '../core/errors.ts';

interface Progress {
  rows: number;
  bytes: number;
}

const current = new AsyncLocalStorage<{ progress: Progress }>();

/** What activities report while they run; the interceptor sends it with the next heartbeat. */
export const progress = {
  report: (next: Progress): void => {
    const running = current.getStore();
    if (running) running.progress = next;
  },
};

/** An earlier batch ends soon: look again at once, and do not call it a failure. */
const soonMs = 200;

/**
 * Beats for every activity on a timer, around the whole of it, with its last progress; turns a
 * PipelineError into the failure that Temporal understands.
 */
export function createActivityInterceptor(
  heartbeatEveryMs: number,
): ActivityInboundCallsInterceptor {
  return {
    async execute(
      input: ActivityExecuteInput,
      next: Next<ActivityInboundCallsInterceptor, 'execute'>,
    ) {
      const running = { progress: { rows: 0, bytes: 0 } };
      const context = Context.current();
      const started = Date.now();
      const beat = () => context.heartbeat(describe(running.progress, started));
      const timer = setInterval(beat, heartbeatEveryMs);
      try {
        return await current.run(running, () => next(input));
      } catch (error) {
        throw isPipelineError(error) ? toFailure(error) : error;
      } finally {
        clearInterval(timer);
      }
    },
  };
}

function describe({ rows, bytes }: Progress, started: number) {
  const seconds = Math.max((Date.now() - started) / 1000, 0.001);
  return { rows, bytes, rowsPerSecond: Math.round(rows / seconds) };
}

/** A wrong configuration is tried again too: the next `apply` may mend it, and `sync` shows it. */
function toFailure(error: PipelineError): ApplicationFailure {
  const waits = error.kind === 'earlier-batch-first';
  return ApplicationFailure.create({
    type: error.kind,
    message: `${error.message} (${error.advice})`,
    nonRetryable: error.kind === 'not-found' || error.kind === 'invalid-request',
    details: [error.details],
    nextRetryDelay: waits ? soonMs : undefined,
    category: waits ? 'BENIGN' : undefined,
  });
}
