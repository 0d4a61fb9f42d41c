import { failurePolicies, type FailureKind } from './failures.ts';

export interface PipelineErrorOptions {
  readonly cause?: unknown;
  /** Ids and counts that help an operator; never row values, never secrets (G14). */
  readonly details?: Readonly<Record<string, string | number>>;
}

/**
 * The one error that crosses folder borders. Its kind decides what happens next
 * (`failurePolicies`); its message says what happened and what to do, without row values.
 */
export class PipelineError extends Error {
  readonly kind: FailureKind;
  readonly details: Readonly<Record<string, string | number>>;

  constructor(kind: FailureKind, message: string, options: PipelineErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'PipelineError';
    this.kind = kind;
    this.details = options.details ?? {};
  }

  get advice(): string {
    return failurePolicies[this.kind].advice;
  }
}

export function isPipelineError(error: unknown, kind?: FailureKind): error is PipelineError {
  return error instanceof PipelineError && (kind === undefined || error.kind === kind);
}

/** The value, or a crash that names what is missing: for what cannot happen. */
export function must<T>(value: T | null | undefined, what = 'a value'): T {
  if (value === null || value === undefined) throw new Error(`internal: ${what} is missing`);
  return value;
}
