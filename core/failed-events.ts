import type { DataFailureKind, FailureStage } from './failures.ts';
import type { FieldPath } from './field-types.ts';
import type { RecordContext } from './records.ts';

/** Why one event could not be loaded. Types and places, never values (G14). */
export interface EventFailure {
  /** Place of the event in its batch, from 0. With `child` it identifies the record. */
  readonly ordinal: number;
  /** Index among the children of a split event; 0 for an event that was not split. */
  readonly child: number;
  readonly stage: FailureStage;
  readonly kind: DataFailureKind;
  readonly field?: FieldPath;
  readonly expected?: string;
  readonly observed?: string;
  /** What is wrong, in words, without quoting the value. */
  readonly message: string;
  readonly sqlState?: string;
}

/** A failure together with what is needed to restream the event: its bytes and how to read them. */
export interface FailedEvent extends EventFailure {
  readonly stream: string;
  readonly eventId: string;
  readonly raw: Uint8Array;
  readonly context: RecordContext;
  readonly lineNumber?: number;
  readonly mappingVersion?: number;
  /** See `versionOf`: a restreamed event keeps its own. */
  readonly version: string;
}
