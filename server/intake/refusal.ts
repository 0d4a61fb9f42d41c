import { isPipelineError } from '../../core/errors.ts';
import { failurePolicies, type FailureKind } from '../../core/failures.ts';
import type { ErrorAnswer } from '../contract/errors.ts';

export interface RefusalParts {
  readonly kind: string;
  readonly message: string;
  readonly advice: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A request that is answered with something else than 2xx. Nothing of it is stored. */
export class Refusal extends Error {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly answer: ErrorAnswer;

  constructor(status: number, { kind, message, advice, headers = {} }: RefusalParts) {
    super(message);
    this.status = status;
    this.headers = headers;
    this.answer = { error: { kind, message, advice } };
  }
}

/** The request is wrong in a way that sending it again does not mend. */
export function refuse(status: number, message: string, advice: string): Refusal {
  return new Refusal(status, { kind: 'invalid-request', message, advice });
}

const statusOf: { readonly [kind in FailureKind]?: number } = {
  'not-found': 404,
  conflict: 409,
  'invalid-request': 400,
  'rate-exceeded': 429,
  'quota-exceeded': 429,
  'backup-mismatch': 503,
  'intake-busy': 503,
  'staging-unavailable': 503,
  'catalog-unavailable': 503,
};
const defaultRetrySeconds = 2;

/** Null: a defect of ours. */
export function toRefusal(error: unknown): Refusal | null {
  if (error instanceof Refusal) return error;
  if (!isPipelineError(error)) return null;
  const { kind, message, details } = error;
  const status = statusOf[kind];
  if (status === undefined) return null;
  const { advice } = failurePolicies[kind];
  if (status !== 429 && status !== 503) return new Refusal(status, { kind, message, advice });
  const retryAfter = String(details['retryAfterSeconds'] ?? defaultRetrySeconds);
  return new Refusal(status, { kind, message, advice, headers: { 'retry-after': retryAfter } });
}
