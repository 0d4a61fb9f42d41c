import { isPipelineError, PipelineError } from '../../core/errors.ts';
import type {
  AskedWindow,
  KnownLane,
  PositionWindow,
  ReplayableSource,
} from '../../core/source.ts';

/** What of one lane is to be read again; an end that is left out is where the lane begins or ends. */
export interface LaneWindow extends PositionWindow {
  readonly lane: string;
}

/**
 * What of each lane a person asks for, as positions.
 * @throws PipelineError `invalid-request` where the source does not understand what was asked
 */
export async function laneWindows(
  source: ReplayableSource,
  lanes: readonly KnownLane[],
  asked: AskedWindow,
  signal: AbortSignal,
): Promise<readonly LaneWindow[]> {
  const windows = [];
  for (const lane of lanes) {
    windows.push({ lane: lane.name, ...(await windowOf(source, lane, asked, signal)) });
  }
  return windows;
}

async function windowOf(
  source: ReplayableSource,
  lane: KnownLane,
  asked: AskedWindow,
  signal: AbortSignal,
): Promise<PositionWindow> {
  try {
    if (source.window) return await source.window(lane, asked, signal);
  } catch (error) {
    if (!isPipelineError(error, 'position-corrupt')) throw error;
    throw new PipelineError('invalid-request', `lane ${lane.name}: ${error.message}`);
  }
  if (asked.from === undefined && asked.to === undefined) return {};
  throw new PipelineError(
    'invalid-request',
    'this source cannot be read again from somewhere: leave out --from and --to',
  );
}
