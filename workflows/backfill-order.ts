import { ApplicationFailure } from '@temporalio/common';
import type { BackfillOrder } from '../activities/contract.ts';

export const maxConcurrency = 16;

/** Shown wherever somebody may look for how to start a backfill. */
export const backfillExample =
  'workflow id `backfill/shop/2026-11-26`, input `{"stream": "orders"}`, or ' +
  '`{"stream": "orders", "from": "…", "to": "…", "lane": "…", "concurrency": 2}`: all of it may be left out';

const idForm = /^backfill\/([a-z][a-z0-9_-]{0,62})\/([A-Za-z0-9][A-Za-z0-9._-]{0,63})$/;
const texts = ['stream', 'lane', 'from', 'to'] as const;
const known = new Set<string>([...texts, 'source', 'concurrency']);

/**
 * What somebody typed into a start form, as an order.
 * @throws ApplicationFailure that says what is wrong and shows an example: the run fails, not a task
 */
export function readOrder(input: unknown, workflowId: string): BackfillOrder {
  const [, source, requestId] = idForm.exec(workflowId) ?? [];
  if (source === undefined || requestId === undefined) {
    throw refuse('its workflow id names no source and request');
  }
  const given = readObject(input ?? {});
  refuseUnknown(given, source);
  const concurrency = given['concurrency'] ?? undefined;
  return {
    source,
    requestId,
    ...Object.fromEntries(texts.flatMap((name) => readText(given, name))),
    ...(concurrency !== undefined && { concurrency: readConcurrency(given) }),
  };
}

function refuseUnknown(given: Record<string, unknown>, source: string): void {
  const unknown = Object.keys(given).find((name) => !known.has(name));
  if (unknown !== undefined) {
    throw refuse(`the input has an unknown field "${unknown.slice(0, 40)}"`);
  }
  if (given['source'] === undefined || given['source'] === source) return;
  throw refuse('source in the input is not the one of the workflow id');
}

/** An empty field of a form says nothing. */
function readText(given: Record<string, unknown>, name: string): readonly [string, string][] {
  const value = given[name] ?? '';
  if (typeof value !== 'string' || value.length > 1_000) {
    throw refuse(`"${name}" in the input is no text`);
  }
  return value === '' ? [] : [[name, value]];
}

function readObject(input: unknown): Record<string, unknown> {
  if (typeof input === 'object' && input !== null && !Array.isArray(input)) {
    return input as Record<string, unknown>;
  }
  throw refuse('the input is no JSON object');
}

/** The argument of `setConcurrency`: `{"concurrency": 4}`, or the number alone. */
export function readConcurrency(argument: unknown): number {
  const value =
    typeof argument === 'object' && argument !== null && 'concurrency' in argument
      ? argument.concurrency
      : argument;
  if (
    typeof value === 'number' &&
    Number.isInteger(value) &&
    value >= 1 &&
    value <= maxConcurrency
  ) {
    return value;
  }
  throw ApplicationFailure.nonRetryable(
    `concurrency is a whole number from 1 to ${maxConcurrency}, like {"concurrency": 4}`,
    'invalid-request',
  );
}

function refuse(why: string): ApplicationFailure {
  return ApplicationFailure.nonRetryable(
    `${why}; start it like this: ${backfillExample}`,
    'invalid-request',
  );
}
