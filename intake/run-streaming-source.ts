import { setTimeout as sleep } from 'node:timers/promises';
import { isPipelineError } from '../core/errors.ts';
import { failurePolicies } from '../core/failures.ts';
import type { IntakeSink, StreamingSource } from '../core/intake.ts';

export interface StreamRun {
  readonly sink: IntakeSink;
  /** Where the newest durable submission said that it goes on; null before the first one. */
  readonly readResume: () => Promise<string | null>;
  readonly signal: AbortSignal;
  /** After a fault that passes by itself. */
  readonly pauseMs: number;
}

/**
 * Receives from a source until the signal aborts. After a fault of the source or the intake it goes
 * on where the intake ends; what was not acknowledged comes again, under the same ids.
 * @throws PipelineError for a fault that does not pass by itself
 */
export async function runStreamingSource(source: StreamingSource, run: StreamRun): Promise<void> {
  const { sink, readResume, signal, pauseMs } = run;
  while (!signal.aborted) {
    try {
      await source.stream(await readResume(), sink, signal);
    } catch (error) {
      const passes = isPipelineError(error) && failurePolicies[error.kind].action === 'retry';
      if (!passes && !signal.aborted) throw error;
      await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
    }
  }
}
