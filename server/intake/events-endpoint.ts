import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import type { IntakeEvent, IntakeSink } from '../../core/intake.ts';
import { failpoint } from '../../core/failpoints.ts';
import { failurePolicies } from '../../core/failures.ts';
import { JsonFault } from '../../formats/json/json-fault.ts';
import { newEventId } from '../../intake/event-ids.ts';
import type { IntakeGate } from '../../intake/gate.ts';
import {
  firstByte,
  readEvents,
  type Delivery,
  type ReadBody,
  type ReadEvent,
} from '../../intake/read-events.ts';
import type { EventAnswer, EventsAnswer, UnparsedAnswer } from '../contract/events.ts';
import { authorize, type Doorkeeper, type OpenSource } from './authorize.ts';
import {
  addressOf,
  checkSignature,
  formatOf,
  namesOf,
  queryEvent,
  type EventsAddress,
} from './events-request.ts';
import { HeldBody, type BodyBudget } from './read-body.ts';
import { refuse, Refusal } from './refusal.ts';
import { respond, respondError, type Answer } from './respond.ts';

export interface EndpointParts extends Doorkeeper {
  readonly gate: IntakeGate;
  readonly sink: IntakeSink;
  readonly budget: BodyBudget;
  /** Keeps a body that cannot be parsed, once; answers the id under which it is kept. */
  keepUnparsed(source: string, event: IntakeEvent, sha256: string): Promise<string>;
  isAllowedHost(host: string | undefined): boolean;
  readonly maxHeaders: number;
  readonly log: Logger;
}

/**
 * `/v1/events/<source>`. On `node:http` itself: it is the one route whose own cost counts, and it
 * must see bodies before anybody has read them.
 */
export class EventsEndpoint {
  readonly #parts: EndpointParts;

  constructor(parts: EndpointParts) {
    this.#parts = parts;
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      using body = new HeldBody(this.#parts.budget);
      const answer = await this.#accept(request, body);
      respond(response, answer);
      await failpoint('source-acknowledged');
    } catch (error) {
      const { log, budget } = this.#parts;
      respondError(request, response, { error, log, budget });
    }
  }

  async #accept(request: IncomingMessage, body: HeldBody): Promise<Answer> {
    this.#checkHeaders(request);
    const address = addressOf(request);
    const source = await authorize(this.#parts, request, address);
    const format = formatOf(request);
    await this.#parts.gate.admit(source.name, source.rules);
    await this.#receive(request, body, { address, source });
    await failpoint('body-read');
    const names = namesOf(request, address, source.rules);
    const delivery = {
      source: source.name,
      rules: source.rules,
      body: body.bytes,
      format,
      ...names,
    };
    return this.#store(delivery);
  }

  #checkHeaders({ headers, rawHeaders }: IncomingMessage): void {
    if (!this.#parts.isAllowedHost(headers.host)) {
      throw refuse(421, 'this host name is not served here', 'Add it to MILLRACE_ALLOWED_HOSTS.');
    }
    // Node drops those beyond its limit: a request with that many may lack any of them.
    if (rawHeaders.length >= this.#parts.maxHeaders * 2) {
      throw refuse(431, 'the request has too many headers', 'Send fewer.');
    }
  }

  async #receive(
    request: IncomingMessage,
    body: HeldBody,
    { address, source: { rules } }: { address: EventsAddress; source: OpenSource },
  ): Promise<void> {
    await body.receive(request, rules.maxBodyBytes);
    checkSignature(request, rules, body.bytes);
    if (request.method === 'GET') {
      if (rules.signature) throw refuse(405, 'a signed event needs a body', 'Send it with POST.');
      if (body.bytes.length > 0) throw refuse(400, 'a GET has no body here', 'Send it with POST.');
      body.bytes = queryEvent(address);
    }
    if (firstByte(body.bytes) === -1) {
      throw refuse(400, 'the body is empty', 'Send a JSON object, an array, or NDJSON.');
    }
  }

  async #store(delivery: Delivery): Promise<Answer> {
    let read: ReadBody;
    try {
      read = readEvents(delivery);
    } catch (error) {
      if (error instanceof JsonFault) return this.#keepUnparsed(delivery, error);
      throw error;
    }
    const events = read.events.flatMap((one) => ('event' in one ? [one.event] : []));
    const { source, rules } = delivery;
    this.#parts.gate.take(source, rules, events.length);
    if (events.length > 0) await this.#parts.sink.write({ source, events });
    return toAnswer(read);
  }

  async #keepUnparsed(delivery: Delivery, fault: JsonFault): Promise<Answer> {
    const { source, rules, body, eventType } = delivery;
    this.#parts.gate.take(source, rules, 1);
    const { message } = fault;
    const stream = eventType ?? rules.defaultStream ?? source;
    const kind = 'invalid-json';
    const event = { id: newEventId(), stream, bytes: body, fault: { kind, message } } as const;
    const sha256 = createHash('sha256').update(body).digest('hex');
    const id = await this.#parts.keepUnparsed(source, event, sha256);
    const answer: UnparsedAnswer = {
      error: { kind, message, advice: failurePolicies[kind].advice },
      id,
    };
    return { status: 400, body: answer };
  }
}

function toAnswer({ isBatch, events }: ReadBody): Answer {
  const answers = events.map(toEventAnswer);
  const [only] = answers;
  const rejected = answers.filter(({ status }) => status === 'rejected');
  const accepted = answers.length - rejected.length;
  if (isBatch) {
    const status = rejected.length === 0 ? 202 : accepted > 0 ? 207 : statusOf(rejected);
    const body: EventsAnswer = { accepted, rejected: rejected.length, events: answers };
    return { status, body };
  }
  if (only?.status !== 'rejected') return { status: 202, body: only };
  const { kind, message } = only;
  const { advice } = failurePolicies[kind];
  throw new Refusal(statusOf([only]), { kind, message, advice });
}

function statusOf(rejected: readonly EventAnswer[]): number {
  return rejected.every((one) => 'kind' in one && one.kind === 'too-large') ? 413 : 400;
}

function toEventAnswer(read: ReadEvent): EventAnswer {
  if ('rejection' in read) return { status: 'rejected', ...read.rejection };
  const { id, fault } = read.event;
  return { status: 'accepted', id, ...(fault && { failure: fault.kind }) };
}
