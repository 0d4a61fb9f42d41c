import type { Context } from 'hono';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import type { Logger } from 'pino';
import { z } from 'zod';
import { isPipelineError, PipelineError } from '../core/errors.ts';
import type { FailureKind } from '../core/failures.ts';
import type { ErrorAnswer } from './contract/errors.ts';

const statusOf: { readonly [kind in FailureKind]?: ContentfulStatusCode } = {
  'invalid-request': 400,
  'invalid-config': 400,
  'schema-rejected': 400,
  'not-found': 404,
  conflict: 409,
  'catalog-unavailable': 503,
  'destination-unavailable': 503,
  'source-unavailable': 503,
  'temporal-unavailable': 503,
  'staging-unavailable': 503,
  'schema-locked': 503,
};

/** Errors as `ErrorAnswer`. What is not for people is logged, not shown. */
export function answerError(log: Logger) {
  return (error: Error, context: Context): Response => {
    if (isPipelineError(error)) {
      const { kind, message, advice } = error;
      const answer: ErrorAnswer = { error: { kind, message, advice } };
      return context.json(answer, statusOf[kind] ?? 500);
    }
    log.error({ name: error.name, stack: framesOf(error) }, 'request failed');
    const advice = 'See the log of the server; if it stays, report it.';
    const answer: ErrorAnswer = { error: { kind: 'internal', message: 'internal error', advice } };
    return context.json(answer, 500);
  };
}

/** A request that is refused before any route sees it. */
export function refusal(message: string, advice: string): ErrorAnswer {
  return { error: { kind: 'invalid-request', message, advice } };
}

/** The body of a request in the form that a schema asks for. */
export async function readBody<T>(context: Context, schema: z.ZodType<T>): Promise<T> {
  const body: unknown = await context.req.json().catch(() => {
    throw new PipelineError('invalid-request', 'the body must be JSON');
  });
  return parse(schema, body);
}

export function readQuery<T>(context: Context, schema: z.ZodType<T>): T {
  return parse(schema, context.req.query());
}

function parse<T>(schema: z.ZodType<T>, value: unknown): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new PipelineError('invalid-request', z.prettifyError(parsed.error));
}

/** Places in the code without the message, which may hold values. */
function framesOf({ stack = '' }: Error): string {
  return stack
    .split('\n')
    .filter((line) => /^\s+at /.test(line))
    .slice(0, 8)
    .join('\n');
}
