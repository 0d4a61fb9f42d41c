import type { IntakeEvent, IntakeRules } from '../core/intake.ts';
import { defaultRecordLimits } from '../core/records.ts';
import { findElements } from '../formats/json/json-elements.ts';
import {
  EnvelopeReader,
  type Envelope,
  type EnvelopeValue,
} from '../formats/json/json-envelope.ts';
import { JsonFault } from '../formats/json/json-fault.ts';
import { isFirstOfLines } from '../formats/json/json-sniff.ts';
import { newEventId } from './event-ids.ts';

/** What a request says about all of its events. */
export interface Delivery {
  readonly source: string;
  readonly rules: IntakeRules;
  readonly body: Uint8Array;
  /** `lines`: NDJSON; `json`: one document, or NDJSON if it looks like that. */
  readonly format: 'json' | 'lines';
  readonly eventType?: string | undefined;
  readonly idempotencyKey?: string | undefined;
}

/** Why an event was not taken. The sender keeps it. */
export interface Rejection {
  readonly kind: 'too-large' | 'too-deep' | 'invalid-request';
  readonly message: string;
}

export type ReadEvent = { readonly event: IntakeEvent } | { readonly rejection: Rejection };

export interface ReadBody {
  /** False: the body was one object, not a list of events. */
  readonly isBatch: boolean;
  readonly events: readonly ReadEvent[];
}

const newline = 0x0a;
/** Of ids and event types, in characters. */
export const longestName = 200;
const unprintable = /\p{Cc}/u;

/**
 * Takes the events out of a body, each with exactly its bytes. Looks only at what it must: the
 * frame, and the fields that name an event's id and type.
 * @throws JsonFault when the body cannot be taken apart.
 */
export function readEvents(delivery: Delivery): ReadBody {
  const body = withoutMark(delivery.body);
  if (delivery.format === 'lines') return { isBatch: true, events: readLines(delivery, body) };
  const first = firstByte(body);
  if (first === 0x5b) return { isBatch: true, events: readElements(delivery, body) };
  if (first === 0x7b && body.includes(newline) && isFirstOfLines(body)) {
    return { isBatch: true, events: readLines(delivery, body) };
  }
  const reader = new EventReader(delivery, { isBatch: false });
  return { isBatch: false, events: [reader.read(body, 0, body.length)] };
}

function readElements(delivery: Delivery, body: Uint8Array): readonly ReadEvent[] {
  const { starts, ends } = findElements(body, undefined);
  const reader = new EventReader(delivery, { isBatch: true });
  return Array.from(starts, (start, at) => reader.read(body, start, ends[at] ?? start));
}

/** A line that is no sound JSON is an event all the same: it goes to review. */
function readLines(delivery: Delivery, body: Uint8Array): readonly ReadEvent[] {
  const reader = new EventReader(delivery, { isBatch: true });
  const events: ReadEvent[] = [];
  for (let start = 0; start < body.length;) {
    const found = body.indexOf(newline, start);
    const next = found < 0 ? body.length : found;
    const end = next > start && body[next - 1] === 0x0d ? next - 1 : next;
    if (firstByte(body.subarray(start, end)) !== -1) events.push(reader.readLine(body, start, end));
    start = next + 1;
  }
  return events;
}

class EventReader {
  readonly #delivery: Delivery;
  readonly #isBatch: boolean;
  readonly #envelope: EnvelopeReader;
  #index = 0;

  constructor(delivery: Delivery, { isBatch }: { readonly isBatch: boolean }) {
    const { eventTypeField } = delivery.rules;
    this.#delivery = delivery;
    this.#isBatch = isBatch;
    this.#envelope = new EnvelopeReader([
      ['_metadata', '@uuid'],
      ['_metadata', 'event_type'],
      ...(eventTypeField === null ? [] : [eventTypeField.split('.')]),
    ]);
  }

  readLine(body: Uint8Array, start: number, end: number): ReadEvent {
    try {
      return this.read(body, start, end);
    } catch (error) {
      if (!(error instanceof JsonFault)) throw error;
      const { kind, message } = error;
      if (kind !== 'invalid-json') throw error;
      const { defaultStream } = this.#delivery.rules;
      const stream = this.#delivery.eventType ?? defaultStream ?? this.#delivery.source;
      const id = this.#id(undefined);
      const bytes = body.subarray(start, end);
      return { event: { id, stream, bytes, fault: { kind, message } } };
    }
  }

  read(body: Uint8Array, start: number, end: number): ReadEvent {
    const { maxBytes, maxDepth } = defaultRecordLimits;
    const envelope = this.#envelope.read(body, start, end);
    this.#envelope.expectEnd(body, envelope.end, end);
    const rejection =
      end - start > maxBytes
        ? reject('too-large', `the event is larger than ${maxBytes / 2 ** 20} MiB: split it`)
        : envelope.depth > maxDepth
          ? reject('too-deep', `the event is nested deeper than ${maxDepth} levels: flatten it`)
          : refuseNames(envelope);
    const id = this.#id(envelope.values[0]);
    if (rejection) return { rejection };
    const bytes = body.subarray(start, end);
    const stream = this.#stream(envelope);
    if (stream !== null) return { event: { id, stream, bytes } };
    const message = 'the event has no type, and its source wants one';
    const fault = { kind: 'unmapped-stream', message } as const;
    return { event: { id, stream: this.#delivery.source, bytes, fault } };
  }

  #id(own: EnvelopeValue): string {
    const index = this.#index++;
    if (typeof own === 'string') return own;
    const { idempotencyKey } = this.#delivery;
    if (idempotencyKey === undefined) return newEventId();
    return this.#isBatch ? `${idempotencyKey}#${index}` : idempotencyKey;
  }

  /** What the event says of itself comes before what the request says of all. */
  #stream({ values: [, own, field] }: Envelope): string | null {
    return own ?? field ?? this.#delivery.eventType ?? this.#delivery.rules.defaultStream;
  }
}

function refuseNames({ values: [id, type, field] }: Envelope): Rejection | null {
  if (id !== undefined && !isName(id)) {
    return reject(
      'invalid-request',
      `_metadata.@uuid must be text of 1 to ${longestName} characters`,
    );
  }
  if ((type !== undefined && !isName(type)) || (typeof field === 'string' && !isName(field))) {
    return reject(
      'invalid-request',
      `the event type must be text of 1 to ${longestName} characters`,
    );
  }
  return null;
}

/** Whether a text may name a stream or an event: it ends up in tables, messages and ids. */
export function isName(text: string | null): boolean {
  if (text === null || text.length === 0 || text.length > longestName) return false;
  return text.isWellFormed() && !unprintable.test(text);
}

function reject(kind: Rejection['kind'], message: string): Rejection {
  return { kind, message };
}

function withoutMark(body: Uint8Array): Uint8Array {
  const isMarked = body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf;
  return isMarked ? body.subarray(3) : body;
}

/** First byte that is not white space; -1 where there is none. */
export function firstByte(bytes: Uint8Array): number {
  for (const byte of bytes) {
    if (byte !== 0x20 && byte !== newline && byte !== 0x0d && byte !== 0x09) return byte;
  }
  return -1;
}
