import { parentPort, workerData } from 'node:worker_threads';
import type { RecordBlock } from '../../core/records.ts';
import { isPipelineError } from '../../core/errors.ts';
import { must } from '../../core/errors.ts';
import { sourceModule } from '../../connectors/registry.ts';
import { decodeFrames } from '../../formats/frames.ts';
import { openCatalog } from '../../store/catalog/catalog.ts';
import { createIntakeReader } from '../../store/catalog/intake-chunks.ts';
import { createLocalStaging } from '../../store/staging/local.ts';
import { readWhole } from '../../store/staging/read-whole.ts';
import { armFailpointsFromEnvironment } from '../../store/failpoints/arm-failpoints.ts';
import type { BlockTask } from './block-task.ts';
import { readInPlace } from './in-place-extract.ts';
import { runBlockTask } from './run-block-task.ts';
import type { ThreadData, ThreadError, ToMain, ToThread } from './thread-messages.ts';

/** Worker thread: runs one block task after another, so that the main thread stays free. */
const port = must(parentPort, 'the parent of this thread');
const tasks = new Map<number, AbortController>();
/** Connects when it is first read. */
const { catalogUrl, embeddedUrl } = workerData as ThreadData;
const catalog = openCatalog({
  url: catalogUrl,
  applicationName: 'millrace-reader',
  maxConnections: 1,
});
const intake = createIntakeReader(catalog);
armFailpointsFromEnvironment();

port.on('message', (message: ToThread) => {
  if (message.kind === 'abort') tasks.get(message.id)?.abort(new Error('cancelled'));
  else void run(message.id, message.task);
});

async function run(id: number, task: BlockTask): Promise<void> {
  const abort = new AbortController();
  tasks.set(id, abort);
  try {
    const staging = createLocalStaging(task.stagingRoot);
    const blocks = openInput(task, abort.signal);
    const onProgress = reportAtMostEvery<{ rows: number; bytes: number }>(250, (progress) =>
      post({ kind: 'progress', id, progress }),
    );
    const result = await runBlockTask(task, { blocks, staging, signal: abort.signal, onProgress });
    post({ kind: 'done', id, result });
  } catch (error) {
    post({ kind: 'failed', id, error: toThreadError(error) });
  } finally {
    tasks.delete(id);
  }
}

async function* openInput(task: BlockTask, signal: AbortSignal): AsyncIterable<RecordBlock> {
  const { input, limits } = task;
  if (input.kind === 'frames') {
    yield* decodeFrames(readWhole(createLocalStaging(task.stagingRoot), input.file));
    return;
  }
  if (input.kind === 'in-place') {
    yield* readInPlace(input, intake, signal);
    return;
  }
  const module = await sourceModule(input.settings.type);
  const { type: _type, ...settings } = input.settings;
  const { source: name, configDir } = input;
  const defaultUrl = embeddedUrl && `${embeddedUrl}/${name}`;
  const context = { name, configDir, now: Date.now, intake, defaultUrl };
  await using source = await module.open(module.settings.parse(settings), context);
  for await (const block of source.read(input.range, { signal, limits, lane: input.lane })) {
    if (input.stream === undefined || block.stream === input.stream) yield block;
  }
}

function post(message: ToMain): void {
  port.postMessage(message);
}

function toThreadError(error: unknown): ThreadError {
  if (isPipelineError(error)) {
    return { kind: error.kind, message: error.message, details: error.details };
  }
  return {
    kind: null,
    message: error instanceof Error ? (error.stack ?? error.message) : String(error),
  };
}

function reportAtMostEvery<T>(ms: number, report: (value: T) => void): (value: T) => void {
  let last = 0;
  return (value) => {
    if (Date.now() - last < ms) return;
    last = Date.now();
    report(value);
  };
}
