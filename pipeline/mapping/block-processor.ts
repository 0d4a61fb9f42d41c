import type { StreamProfile } from '../../core/mapping.ts';
import { recordCount, type RecordBlock } from '../../core/records.ts';
import type { BlockOutput, BlockProcessorOptions } from './block-output.ts';
import { StreamPass, type StreamOutput } from './stream-pass.ts';

export interface BlockProcessor {
  /** `firstOrdinal`: place of the block's first record in the batch. */
  process(block: RecordBlock, firstOrdinal: number): BlockOutput;
  profile(): readonly StreamProfile[];
}

/** Reads each record of a batch once: profiles it and makes its rows for every target. */
export function createBlockProcessor(options: BlockProcessorOptions): BlockProcessor {
  const passes = new Map<string, StreamPass>();
  const passOf = (stream: string) => {
    const pass = passes.get(stream) ?? new StreamPass(stream, options);
    passes.set(stream, pass);
    return pass;
  };
  return {
    process: (block, firstOrdinal) => processBlock(passOf(block.stream), block, firstOrdinal),
    profile: () => [...passes.values()].flatMap((pass) => pass.profile() ?? []),
  };
}

function processBlock(pass: StreamPass, block: RecordBlock, firstOrdinal: number): BlockOutput {
  const faults = new Map(block.faults?.map((fault) => [fault.index, fault]));
  const output: StreamOutput = pass.begin(block);
  for (let index = 0; index < recordCount(block); index += 1) {
    const record = {
      index,
      ordinal: firstOrdinal + index,
      start: block.starts[index] as number,
      end: block.ends[index] as number,
      fault: faults.get(index),
    };
    pass.take(record);
  }
  return { failures: output.failures, targets: pass.end() };
}
