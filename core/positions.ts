/**
 * A place in one lane. Opaque: only the connector that made it parses it. Positions of one lane
 * sort as text in the order of its records.
 */
export type Position = string;

/** A contiguous piece of a lane: from (inclusive) to (exclusive). */
export interface PositionRange {
  readonly from: Position;
  readonly to: Position;
  /** Estimated size, for sizing windows and for people. */
  readonly bytes: number;
}

/** Where a batch belongs: ordinary traffic, or one restream, backfill or full refresh. */
export type RunId = 'live' | `restream/${string}` | `backfill/${string}` | `replace/${string}`;

export interface BatchRef {
  readonly batchId: string;
  readonly run: RunId;
  readonly source: string;
  readonly lane: string;
  readonly from: Position;
  readonly to: Position;
}
