import { must } from '../../core/errors.ts';
import { failpoint } from '../../core/failpoints.ts';
import { recordCount, type RecordBlock } from '../../core/records.ts';
import type { Staging } from '../../core/staging.ts';
import { destinationModule } from '../../connectors/registry.ts';
import { encodeFrame } from '../../formats/frames.ts';
import type { MapTarget } from '../../pipeline/mapping/block-output.ts';
import {
  createBlockProcessor,
  type BlockProcessor,
} from '../../pipeline/mapping/block-processor.ts';
import type { BlockTask, BlockTaskResult, TaskTarget } from './block-task.ts';
import { createDigestStream } from './in-place-extract.ts';
import { createStagedStream, type StagedStream } from './staged-stream.ts';
import { TargetWriter } from './target-writer.ts';

export interface BlockTaskContext {
  readonly blocks: AsyncIterable<RecordBlock>;
  readonly staging: Staging;
  readonly signal: AbortSignal;
  onProgress(progress: { readonly rows: number; readonly bytes: number }): void;
}

/**
 * One pass over the records of a batch: parsed once, profiled, staged, and mapped for every
 * target. Nothing it stages counts until a row in the catalog names it.
 */
export async function runBlockTask(
  task: BlockTask,
  context: BlockTaskContext,
): Promise<BlockTaskResult> {
  const targets = await Promise.all(task.targets.map((target) => mapTarget(task.batchId, target)));
  const { extract, limits } = task;
  const processor = createBlockProcessor({ profile: extract, targets, limits });
  const writers = task.targets.map((target, at) => {
    const { encoding } = must(targets[at]);
    return new TargetWriter(context.staging, task.prefix, { ...target, encoding });
  });
  const pass = new BlockPass(task, context, { processor, writers });
  try {
    for await (const block of context.blocks) {
      context.signal.throwIfAborted();
      await pass.take(block);
    }
    return await pass.close();
  } catch (error) {
    pass.abort(error);
    throw error;
  }
}

class BlockPass {
  readonly #context: BlockTaskContext;
  readonly #processor: BlockProcessor;
  readonly #writers: readonly TargetWriter[];
  readonly #records: StagedStream | null;
  #events = 0;
  #eventBytes = 0;

  constructor(
    task: BlockTask,
    context: BlockTaskContext,
    { processor, writers }: { processor: BlockProcessor; writers: readonly TargetWriter[] },
  ) {
    const { staging } = context;
    const openRecords = () =>
      task.inPlace ? createDigestStream() : createStagedStream(staging, `${task.prefix}/records`);
    this.#context = context;
    this.#processor = processor;
    this.#writers = writers;
    this.#records = task.extract ? openRecords() : null;
  }

  async take(block: RecordBlock): Promise<void> {
    const output = this.#processor.process(block, this.#events);
    if (this.#records) for (const chunk of encodeFrame(block)) await this.#records.write(chunk);
    for (const [at, writer] of this.#writers.entries()) {
      const target = output.targets[at];
      if (target) await writer.write(block, output.failures, target);
    }
    this.#events += recordCount(block);
    this.#eventBytes += block.bytes.byteLength;
    this.#context.onProgress({ rows: this.#events, bytes: this.#eventBytes });
    if (this.#records) await failpoint('extract-read');
  }

  async close(): Promise<BlockTaskResult> {
    const targets = [];
    for (const writer of this.#writers) targets.push(await writer.close());
    return {
      records: (await this.#records?.close()) ?? null,
      events: this.#events,
      eventBytes: this.#eventBytes,
      profile: this.#processor.profile(),
      targets,
    };
  }

  abort(reason: unknown): void {
    this.#records?.abort(reason);
    for (const writer of this.#writers) writer.abort(reason);
  }
}

async function mapTarget(batchId: string, target: TaskTarget): Promise<MapTarget> {
  const { encoding } = await destinationModule(target.destinationType);
  const mappings = new Map(target.mappings.map((mapping) => [mapping.stream, mapping]));
  const { destination, parksUnmapped = false } = target;
  return { destination, batchId, mappings, encoding, parksUnmapped };
}
