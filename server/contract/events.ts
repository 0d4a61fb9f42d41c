import type { ErrorAnswer } from './errors.ts';

/** POST /v1/events/:source with a list, 202, 207 (some rejected), 400 or 413 (all rejected). */
export interface EventsAnswer {
  readonly accepted: number;
  readonly rejected: number;
  /** In the order of the body. */
  readonly events: readonly EventAnswer[];
}

/** POST /v1/events/:source with one object, or GET: 202 */
export interface AcceptedEvent {
  readonly status: 'accepted';
  readonly id: string;
  /** It is kept, and waits in review under this kind. */
  readonly failure?: string;
}

export interface RejectedEvent {
  readonly status: 'rejected';
  readonly kind: 'too-large' | 'too-deep' | 'invalid-request';
  readonly message: string;
}

export type EventAnswer = AcceptedEvent | RejectedEvent;

/** 400: the body could not be parsed; it is kept under this id, once. */
export interface UnparsedAnswer extends ErrorAnswer {
  readonly id: string;
}
