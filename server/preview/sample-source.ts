import { isPipelineError, PipelineError } from '../../core/errors.ts';
import { defaultRecordLimits, recordCount, type RecordBlock } from '../../core/records.ts';
import type { ObservedLane, ReplayableSource } from '../../core/source.ts';

/** The first records of one stream. */
export interface StreamSample {
  readonly stream: string;
  readonly lane: string;
  readonly blocks: readonly RecordBlock[];
}

const maxStreams = 20;
const maxLanes = 50;
const limits = { maxBytes: 1024 * 1024, maxRecords: 1_000, maxRanges: 1 };

/**
 * Reads the beginning of what a source has, as if it were seen for the first time; of one stream,
 * or of all. Stores nothing.
 * @throws PipelineError `not-found` where there is no such stream
 */
export async function sampleSource(
  source: ReplayableSource,
  wanted: string | undefined,
  signal: AbortSignal,
): Promise<readonly StreamSample[]> {
  const lanes = await source.lanes([], signal);
  const samples = new Samples(wanted);
  for (const lane of lanes.filter((one) => samples.mayTake(one)).slice(0, maxLanes)) {
    if (!samples.mayTake(lane)) continue; // the lane before was of the same stream
    for (const block of await readBeginning(source, lane, signal)) samples.add(lane.name, block);
  }
  if (samples.all.length > 0) return samples.all;
  throw nothingFound(wanted, lanes);
}

class Samples {
  readonly #wanted: string | undefined;
  readonly #byStream = new Map<string, StreamSample>();

  constructor(wanted: string | undefined) {
    this.#wanted = wanted;
  }

  get all(): readonly StreamSample[] {
    return [...this.#byStream.values()];
  }

  /** A lane of several streams may hold any. */
  mayTake({ stream }: ObservedLane): boolean {
    if (stream === undefined) return true;
    return (this.#wanted ?? stream) === stream && !this.#byStream.has(stream);
  }

  add(lane: string, block: RecordBlock): void {
    const { stream } = block;
    if ((this.#wanted ?? stream) !== stream) return;
    const known = this.#byStream.get(stream);
    if (known === undefined && this.#byStream.size === maxStreams) return;
    this.#byStream.set(stream, { stream, lane, blocks: [...(known?.blocks ?? []), block] });
  }
}

async function readBeginning(
  source: ReplayableSource,
  lane: ObservedLane,
  signal: AbortSignal,
): Promise<readonly RecordBlock[]> {
  const blocks: RecordBlock[] = [];
  let records = 0;
  try {
    const { ranges, memo } = await source.plan(lane, lane.start, limits, signal);
    const [range] = ranges;
    if (!range) return [];
    const context = { signal, limits: defaultRecordLimits, lane: { name: lane.name, memo } };
    for await (const block of source.read(range, context)) {
      blocks.push(block);
      records += recordCount(block);
      if (records >= limits.maxRecords) break;
    }
  } catch (error) {
    // What began this lane is gone; there may be others.
    if (!isPipelineError(error, 'extract-lost')) throw error;
  }
  return blocks;
}

function nothingFound(wanted: string | undefined, lanes: readonly ObservedLane[]): PipelineError {
  if (wanted === undefined) return new PipelineError('not-found', 'the source has no records now');
  const known = [...new Set(lanes.flatMap(({ stream }) => stream ?? []))].join(', ');
  const others = known === '' ? '' : `: it has ${known}`;
  return new PipelineError(
    'not-found',
    `the source has no records of stream ${wanted} now${others}`,
  );
}
