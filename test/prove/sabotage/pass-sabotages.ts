import { createHash } from 'node:crypto';
import { mkdir, open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { ActivityDependencies } from '../../../activities/dependencies.ts';
import { readLoadFiles } from '../../../activities/load-files.ts';
import type {
  BlockTask,
  BlockTaskResult,
  MappedTarget,
} from '../../../activities/threads/block-task.ts';
import { must } from '../../../core/errors.ts';
import type { RecordBlock } from '../../../core/records.ts';
import type { StagedFile, Staging } from '../../../core/staging.ts';
import { decodeFrames, encodeFrame } from '../../../formats/frames.ts';
import { readWhole } from '../../../store/staging/read-whole.ts';
import type { Sabotage } from './sabotage.ts';

export const manifest: Sabotage = {
  breaks: 'when a range is read again, a part of it is taken for a complete extract',
  word: 'lost',
  provokedBy: ['kills at extract-staged, one after another'],
  strikes: 3, // what was posted, or goes from table to table, is not staged
  dependencies: (real) =>
    aroundPasses(real, 'manifest', async (task, result) => {
      if (!task.extract || !result.records?.name) return result;
      const { records, events } = await stagePart(real.staging, task, result.records);
      return { ...result, records, events, targets: [] };
    }),
};

export const partition: Sabotage = {
  breaks:
    'a retry tells good events from bad ones by another mapping than the one that made its rows',
  word: 'duplicate',
  provokedBy: ['kills at extract-staged, one after another'],
  strikes: 3, // what was posted, or goes from table to table, is not staged
  dependencies: (real) =>
    aroundPasses(real, 'partition', async (task, result, signal) => {
      const targets = [];
      for (const target of result.targets)
        targets.push(await remap(real, { task, target, signal }));
      return { ...result, targets };
    }),
};

type Change = (
  task: BlockTask,
  result: BlockTaskResult,
  signal: AbortSignal,
) => Promise<BlockTaskResult>;

/** Changes what comes of passing over a batch's records, from the second pass on. */
function aroundPasses(real: ActivityDependencies, name: string, change: Change) {
  const marks = join(dirname(real.settings.stagingRoot), 'sabotage', name);
  const run: ActivityDependencies['threads']['run'] = async (task, signal) => {
    const isFirst = await mark(marks, task.batchId);
    const result = await real.threads.run(task, signal);
    return isFirst ? result : change(task, result, signal);
  };
  return { ...real, threads: { run } };
}

/** True for the first caller, across processes. */
async function mark(folder: string, batchId: string): Promise<boolean> {
  await mkdir(folder, { recursive: true });
  try {
    const file = await open(join(folder, createHash('sha256').update(batchId).digest('hex')), 'wx');
    await file.close();
    return true;
  } catch {
    return false;
  }
}

/** The records without the second half of each block. */
async function stagePart(staging: Staging, task: BlockTask, file: StagedFile) {
  let events = 0;
  async function* frames(): AsyncIterable<Uint8Array> {
    for await (const block of decodeFrames(readWhole(staging, file))) {
      const part = firstHalf(block);
      events += part.starts.length;
      yield* encodeFrame(part);
    }
  }
  const records = await staging.put(`${task.prefix}/part/records`, frames());
  return { records, events };
}

function firstHalf(block: RecordBlock): RecordBlock {
  const count = Math.floor(block.starts.length / 2);
  return {
    ...block,
    starts: block.starts.subarray(0, count),
    ends: block.ends.subarray(0, count),
    idNumbers: block.idNumbers.subarray(0, count),
    ...(block.ids && { ids: block.ids.slice(0, count) }),
    ...(block.versions && { versions: block.versions.slice(0, count) }),
    ...(block.lineNumbers && { lineNumbers: block.lineNumbers.subarray(0, count) }),
    ...(block.faults && { faults: block.faults.filter(({ index }) => index < count) }),
  };
}

interface Remapping {
  readonly task: BlockTask;
  readonly target: MappedTarget;
  readonly signal: AbortSignal;
}

/** The rows as they are, with the failures of a mapping that takes no number. */
async function remap(
  { staging, threads }: ActivityDependencies,
  { task, target, signal }: Remapping,
): Promise<MappedTarget> {
  const { parts, rows } = await readLoadFiles(staging, target.loadManifest);
  const own = must(task.targets.find(({ destination }) => destination === target.destination));
  const mappings = own.mappings.map((mapping) => ({
    ...mapping,
    columns: mapping.columns.map((column) =>
      column.type === 'decimal' ? { ...column, type: 'boolean' as const } : column,
    ),
  }));
  const other = await threads.run(
    {
      ...task,
      prefix: `${task.prefix}/other`,
      extract: false,
      inPlace: false,
      targets: [{ ...own, mappings }],
    },
    signal,
  );
  const strict = await readLoadFiles(staging, must(other.targets[0]).loadManifest);
  const loadManifest = `${task.prefix}/other/${target.destination}/mixed.json`;
  const mixed = Buffer.from(JSON.stringify({ ...strict, parts, rows }));
  await staging.put(loadManifest, bytesOf(mixed));
  return { ...target, loadManifest, failures: strict.failures };
}

async function* bytesOf(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes;
}
