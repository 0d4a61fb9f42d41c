import type { EncodedIds, EncodedRows, LoadRequest } from '../../core/destination.ts';
import type { EventFailure } from '../../core/failed-events.ts';
import type { Position } from '../../core/positions.ts';

/** Rows of one table, and which event of the batch each of them is. */
export interface LoadPart {
  readonly rows: EncodedRows;
  readonly ordinals: Uint32Array;
}

/** Which full refresh the events of a batch belong to. */
export interface Generations {
  readonly lane: string;
  /** End of the range that an event came with, by its ordinal in the batch. */
  of(ordinal: number): Position;
  /** The batch is a whole refresh, not some of its events again. */
  readonly whole: boolean;
}

/** Events of one table that fail now, as the table would know them. */
export interface MarkedEvents {
  /** Ids only, or (of a `merge` table) what their keys and versions are too. */
  readonly rows: EncodedRows;
  readonly ordinals: ReadonlyMap<string, readonly number[]>;
}

export interface BatchToLoad {
  readonly request: LoadRequest;
  readonly parts: readonly LoadPart[];
  /** Events that failed before loading; they count in the ledger. */
  readonly failuresBefore: readonly { readonly ordinal: number; readonly child: number }[];
  /** Of a source that may send an event twice. */
  readonly eventIds: EncodedIds | null;
  /** See `LoadTransaction.takeIds`; none by default. */
  readonly preceded?: readonly number[];
  /** Events that a person discarded before this batch read them again: they stay out. */
  readonly discarded?: ReadonlySet<number>;
  /** Of events that go into `replace` tables. */
  readonly generations: Generations | null;
  /** Where events come again (`append-absent`): looks at these once more, by ordinal. */
  readonly mark?: (ordinals: ReadonlySet<number>) => Promise<readonly MarkedEvents[]>;
}

export interface LoadCallbacks {
  /** Stores what the destination refused; awaited before COMMIT, so that no row is ever nowhere. */
  onRefused(failures: readonly EventFailure[]): Promise<void>;
  /**
   * Takes back failures, found before loading or stored by `onRefused`, of events that came before;
   * awaited before COMMIT.
   */
  onResentFailures(ordinals: readonly number[]): Promise<void>;
  onProgress(progress: { readonly rows: number; readonly bytes: number }): void;
}
