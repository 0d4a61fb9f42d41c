import type { Position } from './positions.ts';
import type { ColumnMapping, Mapping, TableName, WriteMode } from './mapping.ts';

/** One row of `_millrace.ledger`: a batch that this destination has, in full. */
export interface LedgerRow {
  readonly batchId: string;
  readonly source: string;
  readonly lane: string;
  readonly from: string;
  readonly to: string;
  /** Empty where the batch had no manifest (typed path). */
  readonly extractSha256: string;
  readonly mapAttempt: string;
  readonly loadAttempt: string;
  readonly rowsLoaded: number;
  readonly rowsDuplicate: number;
  readonly rowsSuperseded: number;
  readonly rowsFailed: number;
  readonly rowsDiscarded: number;
  /** Hash of the sorted list of failed (ordinal, child); see `hashFailures`. */
  readonly failedSha256: string;
  readonly tables: Readonly<Record<string, number>>;
  readonly mappingVersions: Readonly<Record<string, number>>;
  readonly loadedAt: string;
}

/** What is known of a batch before its rows are counted. */
export type LedgerClaim = Pick<
  LedgerRow,
  | 'batchId'
  | 'source'
  | 'lane'
  | 'from'
  | 'to'
  | 'extractSha256'
  | 'mapAttempt'
  | 'loadAttempt'
  | 'mappingVersions'
>;

export type LedgerCounts = Pick<
  LedgerRow,
  | 'rowsLoaded'
  | 'rowsDuplicate'
  | 'rowsSuperseded'
  | 'rowsFailed'
  | 'rowsDiscarded'
  | 'failedSha256'
  | 'tables'
>;

export interface LoadTable extends TableName {
  /** No other load may be inside: rows are compared with those that are there. */
  readonly alone: boolean;
}

export interface LoadRequest {
  readonly claim: LedgerClaim;
  /** Tables the batch touches. Their locks are taken in name order. */
  readonly tables: readonly LoadTable[];
  /**
   * For tables in mode `append`: `append` inserts every row, `append-absent` (restream, backfill)
   * only absent `_event_id`s.
   */
  readonly write: 'append' | 'append-absent';
  /** An older attempt of this batch that blocks the fence longer than this is ended. */
  readonly fenceTimeoutMs: number;
  readonly signal: AbortSignal;
}

/** The rows of one table in one batch, encoded by the `RowEncoding` of the destination. */
export interface EncodedRows {
  readonly mapping: Mapping;
  readonly rowCount: number;
  /** Bytes of rows `from` (inclusive) to `to` (exclusive), in chunks of any size. */
  read(from: number, to: number): AsyncIterable<Uint8Array>;
  /**
   * Columns that newer versions of the mapping have and this one lacks. A merged row has no value
   * there, so none may stay of the row it replaces. Asked only while the table is held.
   */
  laterColumns(): Promise<readonly string[]>;
  /** The same rows but these, by index; those behind move up. */
  without(rows: ReadonlySet<number>): EncodedRows;
}

/**
 * Ids of all events of a batch, failed ones too, with the hashes of their bytes: rows of event id,
 * SHA-256 (hex) and ordinal, encoded by the `RowEncoding` of the destination.
 */
export interface EncodedIds {
  read(): AsyncIterable<Uint8Array>;
}

/** Events of a batch whose ids are taken, by ordinal, ascending. */
export interface TakenIds {
  /**
   * The same bytes came before, or are parked already because other bytes came before them. Not
   * asked for where events come again on purpose (`append-absent`).
   */
  readonly duplicates: readonly number[];
  /** Other bytes came before under this id: those stay. */
  readonly conflicts: readonly number[];
}

/**
 * Bytes of whole rows that one kind of system writes and another takes in without looking at them
 * between: `postgres-text` is COPY's text format in UTF-8.
 */
export type CopyFormat = 'postgres-text';

/** The rows of one table in one batch as its source writes them. */
export interface CopiedRows extends Pick<EncodedRows, 'mapping' | 'laterColumns'> {
  readonly format: CopyFormat;
  /** Read once. Answers, at the end, how many rows there were. */
  read(): AsyncGenerator<Uint8Array, number>;
}

export type CopyResult =
  | {
      readonly ok: true;
      readonly loaded: number;
      readonly duplicate: number;
      /** Older than the row of its key that is there, or that came with it (`merge`). */
      readonly superseded: number;
    }
  | {
      readonly ok: false;
      /** Row index in `rows` that was refused, where the destination says it. */
      readonly row?: number;
      readonly sqlState: string;
      readonly column?: string;
      /** The destination's reason without values. */
      readonly message: string;
    };

/**
 * One load transaction. `pipeline/batches` calls the steps in the order in which they stand here.
 * Disposing before `commit` resolves rolls back and leaves nothing behind.
 * @throws PipelineError `destination-unavailable` for infrastructure faults at any step, with
 *   `details.refused` where only a person can mend it (user, password, name of the database);
 *   `pin-outdated` when a table no longer fits the mapping (SQLSTATE class 42).
 */
export interface LoadTransaction extends AsyncDisposable {
  /** Waits until no other attempt of this batch is inside; ends the session of one that hangs. */
  fence(): Promise<void>;
  /** Takes the locks of the tables, in name order. */
  lockTables(): Promise<void>;
  /** Inserts the ledger row. Returns null, or the row that another attempt committed before. */
  claim(): Promise<LedgerRow | null>;
  /**
   * Makes sure that every column still takes the values that were mapped for it as they are, or
   * refuses them aloud; from here to the end no table can change.
   * @throws PipelineError `pin-outdated`, naming table and column
   */
  holdTables(mappings: readonly Mapping[]): Promise<void>;
  /**
   * Takes the ids for the events of this batch, and says which were taken before: by a batch that
   * is committed, or by an event further ahead in this one. The events `preceded` (by ordinal) take
   * none: an event of another batch, which comes later than this one, was received before them with
   * other bytes. Where their id is taken already, that decides; else they are conflicts.
   */
  takeIds(ids: EncodedIds, preceded: readonly number[]): Promise<TakenIds>;
  /**
   * The end of the newest range of a lane that is loaded, this batch left out; null: none is. A
   * table that is held alone gets no newer one meanwhile.
   */
  newestLoaded(lane: string): Promise<Position | null>;
  /** Removes all rows of a table; readers see them until `commit`. */
  clear(table: TableName): Promise<void>;
  /**
   * Inserts rows `from`..`to`, all or none; in a `merge` table, of each key only what is newer. A row the destination refuses is an answer, not an
   * error: nothing of this call stays, the transaction goes on.
   */
  copy(rows: EncodedRows, from: number, to: number): Promise<CopyResult>;
  /**
   * Inserts rows like `copy`, in one go and in a format that the module of this destination
   * declares (`copyFormats`). What it refuses is an answer; then this transaction is to be disposed.
   */
  pipe?(rows: CopiedRows): Promise<CopyResult>;
  /**
   * Of events that come again and fail (`append-absent`) those that the table has already, by id:
   * with a row of their own, or, where the mapping of `rows` merges, under a row of their key that
   * is not older. `rows` have no more columns than that takes. Null: the destination refuses one of
   * the rows `from`..`to`, and nothing of this call stays.
   */
  findStanding(rows: EncodedRows, from: number, to: number): Promise<readonly string[] | null>;
  /** Completes the ledger row and returns it as it will stand. */
  conclude(counts: LedgerCounts): Promise<LedgerRow>;
  /**
   * For this transaction, which will not be committed, undoes what the batch did when it was loaded:
   * its rows that are there, the ids that it took.
   */
  takeBack(): Promise<void>;
  /** Makes all of it durable and visible at once. An error here may mean either: ask the ledger. */
  commit(): Promise<void>;
}

export interface TableColumn {
  readonly column: string;
  /** The destination's own name of the type. */
  readonly type: string;
}

export interface SchemaChange {
  readonly table: TableName;
  readonly kind: 'create-table' | 'add-column' | 'widen-column' | 'add-key';
  readonly columns: readonly Pick<ColumnMapping, 'column' | 'type'>[];
}

export interface AppliedChange {
  readonly change: SchemaChange;
  readonly statement: string;
}

/** One call of `applyMapping`, as the audit knows it. */
export interface ChangeOrder {
  /** Becomes durable together with the changes: `committedChanges` finds it. */
  readonly changeId: string;
  /**
   * Awaited when everything is changed and nothing is durable yet, with the table held against
   * other changes; where it throws nothing is changed. Not called when nothing is to be changed.
   */
  readonly beforeCommit: (changes: readonly AppliedChange[]) => Promise<void>;
}

export interface DestinationCapabilities {
  readonly writeModes: readonly WriteMode[];
}

/** What a ledger says about a source, to be compared with the catalog (restored backups). */
export interface LedgerSurvey {
  /** Another one after the ledger was made anew: restored from a backup, or of another database. */
  readonly incarnation: string;
  /** Of every lane the live batch that reaches furthest. */
  readonly furthest: readonly { readonly lane: string; readonly batchId: string }[];
}

/** A warehouse. Every method may be repeated; a repetition changes nothing. */
export interface Destination extends AsyncDisposable {
  readonly capabilities: DestinationCapabilities;

  /** @throws PipelineError `destination-unavailable` or `invalid-config`, saying what to do. */
  check(signal: AbortSignal): Promise<void>;

  /**
   * What only tables that are not there yet need: everything else goes on without it.
   * @throws PipelineError `invalid-config`, saying what to do.
   */
  checkNewTables?(signal: AbortSignal): Promise<void>;

  /** Creates the schema `_millrace` with the ledger, if absent. */
  prepare(signal: AbortSignal): Promise<void>;

  /** Columns of a table as they stand, or null where there is no such table. */
  describeTable(table: TableName, signal: AbortSignal): Promise<readonly TableColumn[] | null>;

  /**
   * Brings one table to where `mapping` fits: creates it, adds and widens columns, never drops or
   * narrows. Under a lock per table with a short lock timeout; returns what it did, for the audit.
   * A person's order (`by: 'person'`) may change a column to any type that holds its rows.
   * @throws PipelineError `schema-locked` or `schema-rejected`, naming table and column.
   */
  applyMapping(
    mapping: Mapping,
    signal: AbortSignal,
    order?: ChangeOrder,
  ): Promise<readonly AppliedChange[]>;

  /**
   * Which of these changes of a table are durable. Final for each of which `beforeCommit` was
   * called: one that is under way is waited for.
   * @throws PipelineError `schema-locked` when that takes too long.
   */
  committedChanges(
    table: TableName,
    changeIds: readonly string[],
    signal: AbortSignal,
  ): Promise<readonly string[]>;

  /** The statements that `applyMapping` would execute now. Changes nothing. */
  previewMapping?(mapping: Mapping, signal: AbortSignal): Promise<readonly string[]>;

  /** Forgets event ids that were taken so long ago. Answers how many. */
  forgetIds(olderThanMs: number, signal: AbortSignal): Promise<number>;

  /**
   * Gives back the ids of events that a loaded batch did not load: nothing knows of them any more, so
   * when they are sent again they come for the first time. None of a batch with a `merge` table, which
   * does not tell the events that were replaced from those that were never loaded.
   */
  forgetFailed(batchId: string, signal: AbortSignal): Promise<void>;

  readLedger(batchIds: readonly string[], signal: AbortSignal): Promise<readonly LedgerRow[]>;

  /** Answered by an index, one look for each lane: it is asked before every plan and load. */
  surveyLedger(
    of: { readonly source: string; readonly lane?: string },
    signal: AbortSignal,
  ): Promise<LedgerSurvey>;

  /** All rows of a source in the order of their batch ids, `limit` of them behind `after`. */
  pageLedger(
    page: { readonly source: string; readonly after: string; readonly limit: number },
    signal: AbortSignal,
  ): Promise<readonly LedgerRow[]>;

  /**
   * Makes the rows that other installations wrote for these sources our own, but for batches that
   * we have a row of too. Answers how many. `dryRun` only counts.
   */
  adoptLedger(
    of: { readonly sources: readonly string[]; readonly dryRun: boolean },
    signal: AbortSignal,
  ): Promise<number>;

  beginLoad(request: LoadRequest): Promise<LoadTransaction>;
}
