import { z } from 'zod';

/** GET /v1/traces?id=… */
export const traceQuery = z.object({ id: z.string().min(1), source: z.string().optional() });

export interface TraceAnswer {
  readonly id: string;
  /** The event in the intake, newest first; twice where it was sent twice. */
  readonly received: readonly ReceivedTrace[];
  readonly failed: readonly FailedTrace[];
}

export interface ReceivedTrace {
  readonly source: string;
  readonly stream: string;
  readonly chunk: number;
  readonly receivedAt: string;
  readonly bytes: number;
  readonly sha256: string;
  /** Empty: not planned yet. */
  readonly deliveries: readonly {
    readonly batchId: string;
    readonly destination: string;
    /** pending, waiting, stopped, lost; loaded: in the table, or known there from before; failed */
    readonly state: string;
    readonly loadedAt: string | null;
  }[];
}

export interface FailedTrace {
  readonly source: string;
  readonly stream: string;
  readonly destination: string;
  readonly batchId: string;
  readonly kind: string;
  readonly state: string;
  readonly sha256: string;
  readonly groupId: string | null;
  readonly message: string;
}

/** GET /v1/sources/:name/events?after=…: what was received, as it is. */
export const tailQuery = z.object({
  /** Number of a chunk, of which all that follows is wanted; absent: the newest few events. */
  after: z.coerce.number().int().min(0).nullable().default(null),
  limit: z.coerce.number().int().min(1).max(1_000).default(20),
});

export interface TailAnswer {
  /** To be handed in as `after` next time. */
  readonly next: number;
  readonly events: readonly {
    readonly id: string;
    readonly stream: string;
    readonly receivedAt: string;
    /** As text; what is no UTF-8 shows as U+FFFD. */
    readonly raw: string;
  }[];
}
