/**
 * What workflows know of activities: names, arguments, results. Only references travel (ids,
 * counts, names of staged files), each under 1 KiB; never rows. Names and shapes are public API:
 * recorded histories replay against them.
 */

export interface SourceInput {
  readonly source: string;
}

export interface BatchInput {
  readonly batchId: string;
}

export interface DeliveryInput {
  readonly batchId: string;
  readonly destination: string;
}

export interface PlanInput extends SourceInput {
  /** Deliveries on their way at once into one destination. */
  readonly window: number;
  /** When the run was last asked for, by the clock of Temporal; milliseconds since 1970. */
  readonly askedAt?: number;
  /** Nothing is to be planned now, only what is planned already is to be named. */
  readonly isPlanned?: boolean;
}

export interface RunnableBatch {
  readonly batchId: string;
  /** Those that have room for it, one at least; the others get it later. */
  readonly destinations: readonly string[];
  /** One line for people: lane, stream, size. */
  readonly summary: string;
}

export interface PlanResult {
  /**
   * What should be on its way now: of every destination the oldest deliveries that fill its window.
   * Oldest first. Empty: nothing is left to do, in the plan or in the source.
   */
  readonly batches: readonly RunnableBatch[];
  /** The source has something that can be read only later (a line being written). */
  readonly lookAgainMs?: number;
  /** All that was there when it was asked for is planned: nobody has to look again. */
  readonly isAll?: boolean;
  /** The pipeline is paused: nothing new was planned. */
  readonly paused?: boolean;
}

export interface ExtractResult {
  readonly outcome: 'extracted' | 'lost';
  readonly events: number;
  readonly bytes: number;
  readonly streams: readonly string[];
  /** Destinations that still want this batch. */
  readonly destinations: readonly string[];
  readonly source: string;
  /** Nothing is read yet: `load` takes the rows from the source as they are. */
  readonly road?: 'typed';
}

export interface SyncSchemaInput extends DeliveryInput {
  /** The table no longer fits the pinned version: look again and pin anew. */
  readonly renew: boolean;
}

export interface SyncSchemaResult {
  /**
   * `needs-staging`: the batch is to be extracted. It left the typed road, or a catalog from an older
   * backup knows of no extract, or of no mapping that was chosen for it.
   */
  readonly outcome: 'ready' | 'waiting' | 'settled' | 'stopped' | 'needs-staging';
  /** Changes made to tables, for people. */
  readonly changes: number;
  /** Where it was asked to: whether pins or tables are others now. */
  readonly renewed?: boolean;
  /** Why it stopped. */
  readonly message?: string | undefined;
}

export interface MapInput extends DeliveryInput {
  /** The load files are gone or damaged: make them anew. */
  readonly anew?: boolean;
}

export interface MapResult {
  /**
   * Set where there is nothing to load: loaded before, destination away, records lost, or as in
   * `SyncSchemaResult`.
   */
  readonly outcome?: 'settled' | 'waiting' | 'stopped' | 'needs-staging';
  /** Why it stopped. */
  readonly message?: string | undefined;
  readonly mapAttempt: string;
  /** Staged file that lists the load files. */
  readonly loadManifest: string;
  /** Of the extract that was mapped. */
  readonly generation?: number;
  readonly rows: number;
  readonly failed: number;
}

export interface LoadInput extends DeliveryInput {
  readonly mapAttempt: string;
  readonly loadManifest: string;
  readonly generation?: number;
  /** Pinning anew changed nothing: a table that still does not fit stops the delivery. */
  readonly lastTry?: boolean;
  /** On the typed road: there are no load files. */
  readonly road?: 'typed';
}

export interface LoadResult {
  /** `needs-staging`: as in `SyncSchemaResult`. */
  readonly outcome:
    'settled' | 'waiting' | 'stopped' | 'pin-outdated' | 'files-lost' | 'needs-staging';
  readonly rowsLoaded: number;
  readonly rowsFailed: number;
  /** Why it is not loaded, where a table or the ledger is at fault. */
  readonly message?: string | undefined;
}

export interface GroupInput {
  readonly groupId: string;
}

export interface GroupStatus {
  readonly open: number;
  readonly restreaming: number;
  /** One line for people: source, stream and destination. */
  readonly route: string;
  /** Markdown for the Web UI: what failed and what to do. No values. */
  readonly details: string;
}

export interface RestreamInput {
  readonly restreamId: string;
  readonly groupId: string;
  readonly requestedBy: string;
}

export interface RestreamStatus {
  /** One line for people: source, stream and destination. */
  readonly route: string;
  readonly events: number;
  /** Unsettled batches that can run now, oldest first, at most 50. */
  readonly runnable: readonly string[];
  /** Unsettled batches whose destination is away. */
  readonly waiting: number;
  readonly resolved: number;
  readonly failedAgain: number;
}

export interface BackfillOrder extends SourceInput {
  readonly requestId: string;
  /** Absent: every stream. */
  readonly stream?: string;
  /** Absent: every lane. */
  readonly lane?: string;
  /** Positions, or times where the source knows times; absent: where a lane begins and ends. */
  readonly from?: string;
  readonly to?: string;
  /** Batches at once into one destination. */
  readonly concurrency?: number;
}

export interface BackfillStatus {
  /** Set where the order cannot be carried out: why, for people. Nothing else counts then. */
  readonly refused?: string;
  readonly state: 'running' | 'settled';
  readonly paused: boolean;
  readonly concurrency: number;
  readonly batches: number;
  readonly settled: number;
  /** Gone from the source. */
  readonly lost: number;
  /** Deliveries that wait for a destination, and those that stand still. */
  readonly waiting: number;
  readonly stopped: number;
  readonly rowsLoaded: number;
  /** Were there already. */
  readonly rowsDuplicate: number;
  /** Were older than what is there. */
  readonly rowsSuperseded: number;
  readonly rowsFailed: number;
  /** What should be on its way now, oldest first; empty while paused. */
  readonly runnable: readonly RunnableBatch[];
}

export interface BackfillTuning {
  readonly requestId: string;
  readonly paused?: boolean;
  readonly concurrency?: number;
}

export interface MaintainResult {
  readonly started: number;
  readonly reopened: number;
  readonly removedFiles: number;
}

export interface Activities {
  /** Cuts what is new in the source into durable batches and names the next ones to run. */
  planBatches(input: PlanInput): Promise<PlanResult>;
  /**
   * Reads the batch from its source into staging, profiling every event. The first one wins. On the
   * typed road it only says so.
   */
  extract(input: BatchInput): Promise<ExtractResult>;
  /** Brings the mapping and the tables in step with the batch; pins the versions it will use. */
  syncSchema(input: SyncSchemaInput): Promise<SyncSchemaResult>;
  /** Makes load files and failure records under the pinned versions. */
  mapBatch(input: MapInput): Promise<MapResult>;
  /** Loads all tables of the batch in one transaction, then settles the delivery. */
  load(input: LoadInput): Promise<LoadResult>;
  /** Starts reviews for groups with open events that have none. */
  startReviews(input: SourceInput): Promise<void>;
  countOpen(input: GroupInput): Promise<GroupStatus>;
  /** Claims the open events of a group and cuts them into batches. Repeating changes nothing. */
  freezeRestream(input: RestreamInput): Promise<RestreamStatus>;
  restreamStatus(input: { readonly restreamId: string }): Promise<RestreamStatus>;
  /** Plans a backfill, once; answers how it stands. */
  beginBackfill(order: BackfillOrder): Promise<BackfillStatus>;
  backfillStatus(input: { readonly requestId: string }): Promise<BackfillStatus>;
  /** Stores what an operator asked for in Temporal. */
  tuneBackfill(tuning: BackfillTuning): Promise<void>;
  /** Starts whatever the catalog says should run and does not. */
  reconcile(): Promise<{ readonly started: number }>;
  /** Asks every absent destination whether it is back; reopens its deliveries. */
  probeDestinations(): Promise<{ readonly reopened: number }>;
  /** Removes staged files that nobody needs any more. */
  sweep(): Promise<{ readonly removedFiles: number }>;
}
