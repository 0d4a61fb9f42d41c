import { z } from 'zod';
import type { OpenCounts } from '../../store/catalog/batches.ts';
import type { StoppedDeliveries } from '../../store/catalog/deliveries.ts';
import type { StoppedLane, UnreadLane } from './status.ts';

/** POST /v1/syncs */
export const syncBody = z.strictObject({
  /** Absent: all. */
  pipelines: z.array(z.string()).optional(),
});

export interface SyncAnswer {
  readonly sources: readonly string[];
  /** Pipelines that were left out: they are paused. One that was named is refused with 409. */
  readonly paused: readonly string[];
  /** Why Temporal was not asked; `maintain` brings the sync in then. */
  readonly delayed: string | null;
}

/** GET /v1/syncs?sources=a,b&until=… */
export const progressQuery = z.object({
  sources: z.string().default(''),
  /** An `asOf` of before: what was planned later is not waited for. */
  until: z.iso.datetime({ offset: true }).optional(),
});

export interface ProgressAnswer {
  /** Sources of which not all is planned yet that was there when a sync was asked for. */
  readonly wanted: readonly string[];
  /** By the clock of the catalog: what was wanted is planned by then, where nothing is wanted now. */
  readonly asOf: string;
  readonly open: OpenCounts;
  readonly stoppedLanes: readonly StoppedLane[];
  readonly unread: readonly UnreadLane[];
  readonly stopped: readonly StoppedDeliveries[];
  /** Destinations that cannot be loaded now, and why. */
  readonly unreachable: readonly { readonly destination: string; readonly message: string }[];
  /** What keeps it from going on, in words. */
  readonly obstacles: readonly string[];
}
