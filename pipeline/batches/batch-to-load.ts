import type { EncodedIds, EncodedRows, LoadRequest } from '../../core/destination.ts';
import type { EventFailure } from '../../core/failed-events.ts';

/** Rows of one table, and which event of the batch each of them is. */
export interface LoadPart {
  readonly rows: EncodedRows;
  readonly ordinals: Uint32Array;
}

export interface BatchToLoad {
  readonly request: LoadRequest;
  readonly parts: readonly LoadPart[];
  /** Events that failed before loading; they count in the ledger. */
  readonly failuresBefore: readonly { readonly ordinal: number; readonly child: number }[];
  /** Of a source that may send an event twice. */
  readonly eventIds: EncodedIds | null;
}

export interface LoadCallbacks {
  /** Stores what the destination refused; awaited before COMMIT, so that no row is ever nowhere. */
  onRefused(failures: readonly EventFailure[]): Promise<void>;
  /** Takes back what stands in `failuresBefore` of events that came before; awaited before COMMIT. */
  onResentFailures(ordinals: readonly number[]): Promise<void>;
  onProgress(progress: { readonly rows: number; readonly bytes: number }): void;
}
