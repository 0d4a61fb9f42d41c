import type { StagedFile, Staging } from '../../core/staging.ts';

const highWaterBytes = 8 * 1024 * 1024;

/** A staged file written piece by piece: turns `put`, which pulls, into something to push into. */
export interface StagedStream {
  /** Waits only while more than 8 MiB are queued. */
  write(chunk: Uint8Array): Promise<void>;
  close(): Promise<StagedFile>;
  /** Gives up: the file never appears. */
  abort(reason: unknown): void;
}

export function createStagedStream(staging: Staging, name: string): StagedStream {
  const queue: Uint8Array[] = [];
  let queuedBytes = 0;
  let ended = false;
  let failure: { reason: unknown } | undefined;
  let wake = Promise.withResolvers<void>();
  const turn = () => {
    wake.resolve();
    wake = Promise.withResolvers<void>();
  };

  async function* content() {
    for (;;) {
      if (failure) throw failure.reason;
      const chunk = queue.shift();
      if (chunk !== undefined) {
        queuedBytes -= chunk.byteLength;
        yield chunk;
        turn();
      } else if (ended) return;
      else await wake.promise;
    }
  }
  const done = staging.put(name, content());
  done.catch((reason: unknown) => {
    failure ??= { reason };
    turn();
  });

  return {
    async write(chunk) {
      queue.push(chunk);
      queuedBytes += chunk.byteLength;
      turn();
      while (queuedBytes > highWaterBytes && !failure) await wake.promise;
      if (failure) throw failure.reason;
    },
    close() {
      ended = true;
      turn();
      return done;
    },
    abort(reason) {
      failure ??= { reason };
      turn();
    },
  };
}
