import type { OpenCounts } from '../../store/catalog/batches.ts';
import type { StoppedDeliveries } from '../../store/catalog/deliveries.ts';
import type { DestinationAnswer } from './destinations.ts';

/** GET /v1/status */
export interface StatusAnswer {
  readonly version: string;
  readonly installation: string;
  /** 0: none was applied yet. */
  readonly configurationVersion: number;
  /** ok, unavailable */
  readonly temporal: { readonly state: string; readonly message: string | null };
  /** Some worker polls the task queue. */
  readonly worker: boolean;
  readonly destinations: readonly DestinationAnswer[];
  readonly stoppedLanes: readonly StoppedLane[];
  readonly unread: readonly UnreadLane[];
  /** Why deliveries stand still until somebody mends it and syncs. */
  readonly stopped: readonly StoppedDeliveries[];
  /** Names of paused pipelines. */
  readonly paused: readonly string[];
  readonly open: OpenCounts;
}

export interface StoppedLane {
  readonly source: string;
  /** `*`: all of the source; it is held until `recover`. */
  readonly lane: string;
  readonly state: string;
  readonly kind: string | null;
  readonly message: string | null;
}

/** A lane whose end is no complete record, however long it has rested; it is no failure. */
export interface UnreadLane {
  readonly source: string;
  readonly lane: string;
  readonly bytes: number;
  readonly message: string;
}

/** GET /v1/platform: what `doctor` wants to know of the systems below. */
export interface PlatformAnswer {
  /** `server_version` of the catalog's Postgres. */
  readonly postgres: string;
  readonly fsync: boolean;
  /** Whether the role of the catalog could do anything at all. */
  readonly superuser: boolean;
  /** Version of the Temporal server; null while it is away. */
  readonly temporal: string | null;
}

/** GET /v1/version */
export interface VersionAnswer {
  readonly version: string;
}

/** GET /readyz, with 503 while `reasons` is not empty. */
export interface ReadyAnswer {
  readonly ready: boolean;
  readonly reasons: readonly string[];
}
