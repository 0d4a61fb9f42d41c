import { AsyncResource } from 'node:async_hooks';
import { Worker } from 'node:worker_threads';
import { PipelineError } from '../core/errors.ts';
import type { BlockTask, BlockTaskResult } from '../activities/threads/block-task.ts';
import type {
  ThreadData,
  ThreadError,
  ToMain,
  ToThread,
} from '../activities/threads/thread-messages.ts';
import type { ThreadRunner } from '../activities/dependencies.ts';

const entry = new URL('../activities/threads/block-thread.ts', import.meta.url);

interface Job {
  readonly id: number;
  readonly task: BlockTask;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: { rows: number; bytes: number }) => void;
  readonly resolve: (result: BlockTaskResult) => void;
  readonly reject: (error: unknown) => void;
}

interface Thread {
  readonly worker: Worker;
  job: Job | null;
}

export interface ThreadPoolOptions {
  readonly size: number;
  /** Heap of one thread, in MiB. */
  readonly maxHeapMiB: number;
  /** Where threads read the intake. */
  readonly catalogUrl: string;
  /** The embedded server, without a database. */
  readonly embeddedUrl: string | undefined;
  readonly onProgress: (progress: { rows: number; bytes: number }) => void;
}

/** Worker threads for the CPU work of batches: one task each at a time, others wait in order. */
export class ThreadPool implements ThreadRunner, AsyncDisposable {
  readonly #options: ThreadPoolOptions;
  readonly #threads = new Set<Thread>();
  readonly #waiting: Job[] = [];
  #nextId = 1;
  #closed = false;

  constructor(options: ThreadPoolOptions) {
    this.#options = options;
  }

  run(task: BlockTask, signal: AbortSignal): Promise<BlockTaskResult> {
    signal.throwIfAborted();
    return new Promise((resolve, reject) => {
      const id = this.#nextId++;
      // Bound here: progress belongs to the activity that asked.
      const onProgress = AsyncResource.bind(this.#options.onProgress);
      const job: Job = { id, task, signal, onProgress, resolve, reject };
      signal.addEventListener('abort', () => this.#abort(job), { once: true });
      this.#waiting.push(job);
      this.#assign();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#threads].map(({ worker }) => worker.terminate()));
  }

  #assign(): void {
    while (this.#waiting.length > 0 && !this.#closed) {
      const thread = this.#idleThread();
      const job = thread && this.#waiting.shift();
      if (!thread || !job) return;
      thread.job = job;
      send(thread, { kind: 'run', id: job.id, task: job.task });
    }
  }

  #idleThread(): Thread | undefined {
    for (const thread of this.#threads) if (thread.job === null) return thread;
    return this.#threads.size < this.#options.size ? this.#spawn() : undefined;
  }

  #spawn(): Thread {
    const resourceLimits = { maxOldGenerationSizeMb: this.#options.maxHeapMiB };
    const { catalogUrl, embeddedUrl } = this.#options;
    const workerData: ThreadData = { catalogUrl, embeddedUrl };
    const worker = new Worker(entry, { resourceLimits, workerData });
    const thread: Thread = { worker, job: null };
    worker.on('message', (message: ToMain) => this.#receive(thread, message));
    worker.on('error', (error) => this.#lose(thread, error));
    worker.on('exit', () => this.#lose(thread, new Error('the thread ended')));
    this.#threads.add(thread);
    return thread;
  }

  #receive(thread: Thread, message: ToMain): void {
    const { job } = thread;
    if (job?.id !== message.id) return;
    if (message.kind === 'progress') return job.onProgress(message.progress);
    thread.job = null;
    if (message.kind === 'done') job.resolve(message.result);
    else job.reject(toError(message.error));
    this.#assign();
  }

  /** A thread that died takes only its task with it, and that is tried again by Temporal. */
  #lose(thread: Thread, error: Error): void {
    if (!this.#threads.delete(thread)) return;
    thread.job?.reject(error);
    thread.job = null;
    this.#assign();
  }

  #abort(job: Job): void {
    const at = this.#waiting.indexOf(job);
    if (at >= 0) this.#waiting.splice(at, 1);
    for (const thread of this.#threads) {
      if (thread.job === job) send(thread, { kind: 'abort', id: job.id });
    }
    if (at >= 0) job.reject(job.signal.reason);
  }
}

function send(thread: Thread, message: ToThread): void {
  thread.worker.postMessage(message);
}

function toError({ kind, message, details }: ThreadError): Error {
  return kind === null ? new Error(message) : new PipelineError(kind, message, { details });
}
