import type { DataFailureKind } from '../core/failures.ts';
import type { RecordTape } from './record-tape.ts';

/** Why a record cannot be taken apart. Never quotes it. */
export interface ReadFault {
  readonly kind: DataFailureKind;
  readonly message: string;
}

/** Takes records of one format apart. Not for two records at once: the tape is reused. */
export interface RecordReader {
  /** What the last record held. Undefined content after a fault. */
  readonly tape: RecordTape;
  /** Reads the record `bytes[start..end)`; null when it is sound. */
  read(bytes: Uint8Array, start: number, end: number): ReadFault | null;
}
