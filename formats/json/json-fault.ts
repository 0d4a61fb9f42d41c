import type { DataFailureKind } from '../../core/failures.ts';

/** Thrown inside the reader, caught at its door. Without a stack: faults may be many. */
export class JsonFault extends Error {
  readonly kind: DataFailureKind;

  constructor(kind: DataFailureKind, message: string) {
    const limit = Error.stackTraceLimit;
    Error.stackTraceLimit = 0;
    super(message);
    Error.stackTraceLimit = limit;
    this.kind = kind;
  }
}

export function invalid(what: string): JsonFault {
  return new JsonFault('invalid-json', what);
}
