import type { ActivityOptions } from '@temporalio/workflow';

/**
 * Scales every heartbeat; put in front of the bundle by the worker (`MILLRACE_PATIENCE`). Tests
 * that kill workers set it low. Replay does not depend on it.
 */
const patience = (globalThis as { millracePatience?: number }).millracePatience ?? 1;

const heartbeatTimeout = 30_000 * patience;

/**
 * Timeouts and retries by kind of step. Infrastructure faults are repeated for ever with these
 * pauses; faults of data never reach a retry, they are answers. `heartbeatTimeout` is how long a
 * dead worker goes unnoticed.
 */
const retry = {
  initialInterval: '200ms',
  backoffCoefficient: 2,
  maximumInterval: 15_000 * patience,
} as const;

export const activityProfiles = {
  /** Catalog only. */
  brief: { startToCloseTimeout: '60s', heartbeatTimeout, retry },
  /** Looks at a source or a warehouse's schema. */
  plan: { startToCloseTimeout: '10m', heartbeatTimeout, retry },
  /** Moves the bytes of a batch. */
  bulk: { startToCloseTimeout: '60m', heartbeatTimeout, retry },
} as const satisfies Record<string, ActivityOptions>;
