import { isPipelineError, PipelineError } from '../core/errors.ts';
import { isFailureKind, type FailureKind } from '../core/failures.ts';

export const exitCode = {
  ok: 0,
  failure: 1,
  usage: 2,
  invalidConfig: 3,
  cannotConnect: 4,
  failedEvents: 5,
  interrupted: 130,
} as const;

/** A verb that ends with another code than 0 after it has said everything. */
export class VerbEnd extends Error {
  readonly code: number;

  constructor(code: number, message = '') {
    super(message);
    this.code = code;
  }
}

const codes: { readonly [kind in FailureKind]?: number } = {
  'invalid-config': exitCode.invalidConfig,
  'invalid-request': exitCode.usage,
  'catalog-unavailable': exitCode.cannotConnect,
  'temporal-unavailable': exitCode.cannotConnect,
  'destination-unavailable': exitCode.cannotConnect,
  'source-unavailable': exitCode.cannotConnect,
};

export function codeOf(error: unknown): number {
  if (error instanceof VerbEnd) return error.code;
  if (isAbort(error)) return exitCode.interrupted;
  return isPipelineError(error) ? (codes[error.kind] ?? exitCode.failure) : exitCode.failure;
}

/** What a person reads: what happened, its kind and what to do; never a stack. */
export function describeError(error: unknown): string {
  if (error instanceof VerbEnd) return error.message;
  if (isAbort(error)) return 'stopped';
  if (isPipelineError(error)) return `${error.message}\n${error.kind}: ${error.advice}`;
  return `internal error: ${error instanceof Error ? error.message : String(error)}`;
}

/** The same for a program that asked with `--json`. */
export function errorDocument(error: unknown): unknown {
  const kind = isPipelineError(error) ? error.kind : kindOfCode(codeOf(error));
  const message = isPipelineError(error) ? error.message : describeError(error);
  const advice = isPipelineError(error) ? error.advice : null;
  return { error: { kind, message, advice, exitCode: codeOf(error) } };
}

function kindOfCode(code: number): string {
  const [name = 'failure'] = Object.entries(exitCode).find(([, value]) => value === code) ?? [];
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** An error as the API answers it, as an error again. */
export function fromAnswer(kind: string, message: string): Error {
  return isFailureKind(kind) ? new PipelineError(kind, message) : new Error(message);
}

function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError';
}
