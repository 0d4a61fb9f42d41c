import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import type { IntakeRules } from '../../core/intake.ts';
import { PipelineError } from '../../core/errors.ts';
import { isName, longestName } from '../../intake/read-events.ts';
import { findSignatureFault } from '../../intake/webhook-signature.ts';
import { refuse } from './refusal.ts';
import { isGzip } from './read-body.ts';

export interface EventsAddress {
  readonly source: string;
  readonly query: URLSearchParams;
}

const prefix = '/v1/events/';
/** `#index` is added to it. */
const longestKey = 180;
/** Names in the query that are not fields of an event sent with GET. */
const reserved = new Set(['token', 'event_type', 'idempotency_key']);

export function isEventsPath(url: string | undefined): boolean {
  return url?.startsWith(prefix) ?? false;
}

/** @throws PipelineError `not-found` */
export function addressOf({ url = '' }: IncomingMessage): EventsAddress {
  const [path = '', query = ''] = splitOnce(url, '?');
  const source = path.slice(prefix.length).replace(/\/$/, '');
  if (!/^[a-z][a-z0-9_-]*$/.test(source)) {
    throw new PipelineError('not-found', 'post to /v1/events/ and the name of a source');
  }
  return { source, query: new URLSearchParams(query) };
}

/** @throws Refusal 405, 415 */
export function formatOf(request: IncomingMessage): 'json' | 'lines' {
  const { method, headers } = request;
  if (method === 'GET') return 'json'; // what it says of its body is about none
  if (method !== 'POST') {
    throw refuse(405, `${method} is not for events`, 'Send them with POST, or one with GET.');
  }
  const encoding = headers['content-encoding'] ?? 'identity';
  if (encoding !== 'identity' && !isGzip(request)) {
    throw refuse(415, 'this Content-Encoding is not understood', 'Send gzip, or nothing packed.');
  }
  return mediaFormat(headers['content-type'] ?? 'application/json');
}

function mediaFormat(contentType: string): 'json' | 'lines' {
  const [type = '', ...parameters] = contentType.toLowerCase().split(/\s*;\s*/);
  const charset = parameters.find((one) => one.startsWith('charset='))?.slice(8);
  if (charset === undefined || /^"?utf-?8"?$/.test(charset)) {
    if (/^application\/(x-)?(ndjson|jsonl|jsonlines|json-seq)$/.test(type.trim())) return 'lines';
    if (/^application\/([\w.-]+\+)?json$/.test(type.trim())) return 'json';
  }
  throw refuse(
    415,
    'this Content-Type is not understood',
    'Send application/json or application/x-ndjson, in UTF-8.',
  );
}

/** Names that the request gives to its events. @throws PipelineError `invalid-request` */
export function namesOf(
  { headers }: IncomingMessage,
  { query }: EventsAddress,
  rules: IntakeRules,
): { readonly eventType?: string | undefined; readonly idempotencyKey?: string | undefined } {
  // Of all names it alone is signed: who sends a request again could give it another key.
  const webhookId = rules.signature ? headers['webhook-id'] : undefined;
  const eventType =
    nameOf(headers['millrace-event-type'], headers['x-event-type']) ?? query.get('event_type');
  const idempotencyKey =
    nameOf(webhookId, headers['idempotency-key']) ?? query.get('idempotency_key');
  return {
    eventType: checkName('event type', eventType, longestName),
    idempotencyKey: checkName('idempotency key', idempotencyKey, longestKey),
  };
}

function checkName(what: string, text: string | null, longest: number): string | undefined {
  if (text === null) return undefined;
  if (isName(text) && text.length <= longest) return text;
  throw new PipelineError(
    'invalid-request',
    `the ${what} must be text of 1 to ${longest} characters`,
  );
}

/** @throws Refusal 401 */
export function checkSignature(
  { headers }: IncomingMessage,
  { signature }: IntakeRules,
  body: Uint8Array,
): void {
  if (!signature) return;
  const fault = findSignatureFault({
    headers: {
      id: firstOf(headers['webhook-id']),
      timestamp: firstOf(headers['webhook-timestamp']),
      signature: firstOf(headers['webhook-signature']),
    },
    body,
    secrets: signature.secrets,
    toleranceMs: signature.toleranceMs,
    now: Date.now(),
  });
  if (fault !== null) throw refuse(401, fault, 'Sign the request as Standard Webhooks says.');
}

/** The event of a GET request: its query as an object, every value as text. */
export function queryEvent({ query }: EventsAddress): Buffer {
  const fields = new Map<string, string | string[]>();
  for (const name of new Set(query.keys())) {
    const values = query.getAll(name);
    if (!reserved.has(name)) fields.set(name, values.length === 1 ? (values[0] ?? '') : values);
  }
  return Buffer.from(JSON.stringify(Object.fromEntries(fields)));
}

/** Node reads headers as latin1; names that are UTF-8 are what their senders wrote. */
function nameOf(...values: readonly (string | string[] | undefined)[]): string | null {
  const text = firstOf(...values);
  if (text === null) return null;
  const bytes = Buffer.from(text, 'latin1');
  return isUtf8(bytes) ? bytes.toString() : text;
}

function firstOf(...values: readonly (string | string[] | undefined)[]): string | null {
  return values.flat().find((value) => value !== undefined) ?? null;
}

function splitOnce(text: string, at: string): readonly string[] {
  const place = text.indexOf(at);
  return place < 0 ? [text] : [text.slice(0, place), text.slice(place + 1)];
}
