import type { Configuration, ConnectorSettings, PipelineSettings } from '../core/configuration.ts';
import type { Destination } from '../core/destination.ts';
import type { NamingRule } from '../core/mapping.ts';
import type { ReplayableSource } from '../core/source.ts';
import type { Staging } from '../core/staging.ts';
import type { BackfillRow } from '../store/catalog/backfills.ts';
import type { Catalog } from '../store/catalog/catalog.ts';
import type { GroupRow } from '../store/catalog/groups.ts';
import type { RunningRestream } from '../store/catalog/restreams.ts';
import type { BlockTask, BlockTaskResult } from './threads/block-task.ts';

/** A configured source with what is needed to open it, here or in a thread. */
export interface ConfiguredSource {
  readonly name: string;
  readonly settings: ConnectorSettings;
  readonly configDir: string;
  readonly pipeline: PipelineSettings | null;
}

/** The applied configuration, always the newest. */
export interface ConfigurationReader {
  current(): Promise<Configuration>;
  /** @throws PipelineError `not-found` where no such source is configured (any more). */
  source(name: string): Promise<ConfiguredSource>;
}

export interface OpenDestination {
  readonly type: string;
  readonly naming: NamingRule;
  readonly destination: Destination;
}

/** Destinations stay open for the life of the worker, one for each name and configuration. */
export interface DestinationPool {
  open(name: string): Promise<OpenDestination>;
  /** The connector's type, without connecting. */
  typeOf(name: string): Promise<string>;
  /** Claims the right to try a failing destination, until disposed; null while another has it. */
  beginTrial(name: string): Disposable | null;
}

export interface ThreadRunner {
  /** Runs one block task off the main thread; rejects with the task's own error. */
  run(task: BlockTask, signal: AbortSignal): Promise<BlockTaskResult>;
}

/** Starts workflows; every call may be repeated. */
export interface Engine {
  startSync(source: string): Promise<void>;
  startReview(group: GroupRow): Promise<void>;
  startRestream(restream: RunningRestream): Promise<void>;
  startBackfill(backfill: BackfillRow): Promise<void>;
}

export interface ActivitySettings {
  readonly installation: string;
  readonly stagingRoot: string;
  /** A destination that fails for so long is marked away; its deliveries wait as rows. */
  readonly awayAfterMs: number;
  /** An older load attempt that blocks longer is ended. */
  readonly fenceTimeoutMs: number;
  readonly maxBatchBytes: number;
  readonly maxBatchRecords: number;
  /** Of one source in one destination. */
  readonly maxStreams: number;
  /** Planning stops when less is free where the staged files lie. */
  readonly minFreeBytes: number;
  readonly keepExtractsMs: number;
  readonly stagingCapBytes: number;
}

/** Everything activities need from outside. Made once, by `workers/main.ts`. */
export interface ActivityDependencies {
  readonly catalog: Catalog;
  readonly staging: Staging;
  readonly configuration: ConfigurationReader;
  readonly destinations: DestinationPool;
  readonly openSource: (source: ConfiguredSource) => Promise<ReplayableSource>;
  readonly threads: ThreadRunner;
  readonly engine: Engine;
  readonly settings: ActivitySettings;
  /** What the running activity is doing, for its heartbeat; see `workers/activity-interceptor.ts`. */
  readonly progress: {
    readonly report: (progress: { readonly rows: number; readonly bytes: number }) => void;
  };
  /** Of the running activity: 1, 2, 3 … */
  readonly attempt: () => number;
  /** Aborted when the running activity is cancelled or the worker shuts down. */
  readonly signal: () => AbortSignal;
}
