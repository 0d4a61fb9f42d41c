import type { EventFailure } from '../../core/failed-events.ts';
import type { Mapping, RowEncoding } from '../../core/mapping.ts';
import type { RecordLimits } from '../../core/records.ts';

export interface MapTarget {
  readonly destination: string;
  readonly batchId: string;
  /** By stream. A stream without mapping makes no rows. */
  readonly mappings: ReadonlyMap<string, Mapping>;
  readonly encoding: RowEncoding;
  /** Events of streams without mapping fail (`unmapped-stream`); else they are only counted. */
  readonly parksUnmapped?: boolean;
  /** Fields without a column are passed over: only what the mappings name is wanted. */
  readonly partial?: true;
}

export interface BlockProcessorOptions {
  readonly profile: boolean;
  readonly targets: readonly MapTarget[];
  readonly limits: RecordLimits;
}

/** A failure and the record of the block that it belongs to. */
export type IndexedFailure = EventFailure & { readonly index: number };

/** Rows of one table from one block. Row i is the event `ordinals[i]` of the batch. */
export interface EncodedPart {
  readonly stream: string;
  readonly bytes: Uint8Array;
  readonly ordinals: Uint32Array;
}

export interface TargetOutput {
  readonly destination: string;
  readonly parts: readonly EncodedPart[];
  readonly failures: readonly IndexedFailure[];
  /** Events that this target has no mapping for. */
  readonly unmappedEvents: number;
}

export interface BlockOutput {
  /** Records that cannot be read: failures for every target. */
  readonly failures: readonly IndexedFailure[];
  readonly targets: readonly TargetOutput[];
}
