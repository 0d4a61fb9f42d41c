import type { CopyFormat } from './destination.ts';
import type { Mapping } from './mapping.ts';
import type { Position, PositionRange } from './positions.ts';
import type { RecordBlock, RecordLimits } from './records.ts';
import type { FieldPath, FieldType } from './field-types.ts';

/** A lane as the catalog remembers it. `memo` is the connector's own note (JSON), opaque to all others. */
export interface KnownLane {
  readonly name: string;
  readonly head: Position;
  readonly memo: string;
}

/** A lane as the connector sees it now. */
export interface ObservedLane {
  readonly name: string;
  /** The stream its records belong to, where the lane has just one. Types are fixed in plan order per stream. */
  readonly stream?: string;
  /**
   * Every range holds all that the lane has, as one consistent snapshot (a full refresh). It is
   * planned when a refresh is due: then `plan` answers with one range, however often it is asked.
   */
  readonly whole?: boolean;
  /** Where a lane seen for the first time begins. Ignored for known lanes. */
  readonly start: Position;
  readonly memo: string;
}

/** A part of a lane as a person asks for it: positions, or times where the source knows times. */
export interface AskedWindow {
  readonly from?: string | undefined;
  readonly to?: string | undefined;
}

/** The same in positions; an end that is left out is where the lane begins or ends. */
export interface PositionWindow {
  readonly from?: Position;
  readonly to?: Position;
}

export interface PlanLimits {
  /** Aim for ranges of about this size. Only an indivisible record or document may exceed it. */
  readonly maxBytes: number;
  readonly maxRecords: number;
  /** At most this many ranges in one call. */
  readonly maxRanges: number;
  /** Instead of them, for rows that the source can copy as they are (`copyRows`). */
  readonly copied?: Pick<PlanLimits, 'maxBytes' | 'maxRecords' | 'maxRanges'> | undefined;
  /**
   * How long ago somebody asked for what is there. What came later is not waited for; it may be
   * planned. Absent: everything is asked for.
   */
  readonly askedAgoMs?: number | undefined;
}

/** What a call to `plan` found: the ranges, and the memo to keep with the head that they lead to. */
export interface LanePlan {
  readonly ranges: readonly PositionRange[];
  readonly memo: string;
  /** Something is there that can be cut only after so many milliseconds (a line being written). */
  readonly lookAgainMs?: number;
  /**
   * All that was there when it was asked for is planned, though more may come all the time. Absent:
   * a plan without ranges, and without `lookAgainMs`, says so.
   */
  readonly isAll?: boolean;
  /** Absent: nothing is left behind the last range, or more of it will be cut by itself. */
  readonly unread?: UnreadTail;
  /**
   * From here on records would be passed over: the lane keeps the memo and stops, as
   * `position-corrupt`, until a person decides. Says what happened and what can be done. No ranges.
   */
  readonly stop?: string;
}

/**
 * What stands behind the last complete record and is none, however long it has rested. No failure:
 * more may be written to it. People are told, so that it does not stay there unseen.
 */
export interface UnreadTail {
  readonly bytes: number;
  /** Says where and what, in words. No values. */
  readonly message: string;
}

export interface ReadContext {
  readonly signal: AbortSignal;
  readonly limits: RecordLimits;
  /** The range belongs to this lane, whose memo was stored with the plan of this range. */
  readonly lane: { readonly name: string; readonly memo: string };
}

/** How the rows of a range are to be written for the table of a destination. */
export interface CopyContext extends Omit<ReadContext, 'limits'> {
  readonly format: CopyFormat;
  readonly mapping: Mapping;
  /** Goes into `_batch_id`. */
  readonly batchId: string;
}

export interface ImportedField {
  readonly path: FieldPath;
  readonly type: FieldType;
}

/** A schema as the source itself declares it. */
export interface ImportedSchema {
  readonly stream: string;
  readonly fields: readonly ImportedField[];
  /** Fields whose values tell the rows of a `merge` table apart. */
  readonly key?: readonly FieldPath[];
  /** See `ObservedLane.whole`. */
  readonly whole?: boolean;
}

export interface SourceCapabilities {
  /** The same range may read differently the second time. Its first complete extract is staged and wins. */
  readonly mutable: boolean;
  readonly importsSchema: boolean;
}

/** A source whose ranges can be read again: a table, a file, a Kafka range, the intake. */
export interface ReplayableSource extends AsyncDisposable {
  readonly capabilities: SourceCapabilities;

  /**
   * Looks whether the source can be reached and read. Reads no records.
   * @throws PipelineError `source-unavailable` or `invalid-config`, saying what to do.
   */
  check(signal: AbortSignal): Promise<void>;

  /** What people should know of the way it is read, in sentences: what it does not see. */
  notes?(): readonly string[];

  /**
   * Names the lanes that exist now, known ones under their old names (a renamed file goes on
   * in its lane). Known lanes that are gone are left out. Stores nothing.
   */
  lanes(known: readonly KnownLane[], signal: AbortSignal): Promise<readonly ObservedLane[]>;

  /**
   * Cuts what lies after `from` into ranges: oldest first, no gaps (each begins where the one
   * before ends, the first at `from`), empty when drained. One call at a time per lane. Stores
   * nothing; the caller makes the plan durable, with the memo.
   * @throws PipelineError `position-corrupt` when `from` is not ours; never starts from zero.
   *   `file-too-large`, `file-unreadable` and the like stop this lane only.
   */
  plan(
    lane: ObservedLane,
    from: Position,
    limits: PlanLimits,
    signal: AbortSignal,
  ): Promise<LanePlan>;

  /**
   * Yields the records of one range in position order and ends by reaching its end, never by
   * counting. May run again at any time, even twice at once: unless `capabilities.mutable`, the
   * same range gives the same bytes and the same event ids. Blocks of about 1 MiB; a yielded
   * block is the caller's to keep. A record over `limits.maxBytes` comes whole, as a fault.
   * @throws PipelineError `source-unavailable`; `extract-lost` when the range is no longer there.
   */
  read(range: PositionRange, context: ReadContext): AsyncIterable<RecordBlock>;

  /**
   * Whether a range that was `extract-lost` is there again, as it was planned. False where it
   * cannot be told now.
   */
  holds?(range: PositionRange, context: Omit<ReadContext, 'limits'>): Promise<boolean>;

  /**
   * After a backup was restored: the memo that goes with a range which ends at `position`, in a
   * lane whose head now is to stand at `head`; both came from plans that are forgotten. Where the
   * range cannot be told from what the lane has now, `read` finds it gone. Absent: the memo of the
   * lane as it is observed serves all.
   */
  noteAt?(lane: ObservedLane, position: Position, head: Position): Promise<string>;

  /**
   * Which part of a known lane a backfill is to read again. Where nothing is asked for: what can
   * still be read. It may answer with more than was asked: ranges are read again whole.
   * @throws PipelineError `position-corrupt` or `invalid-request`, saying what it understands
   */
  window?(lane: KnownLane, asked: AskedWindow, signal: AbortSignal): Promise<PositionWindow>;

  /**
   * The rows of one range as bytes that go into the table of a mapping as they are: the columns of
   * `rowColumns`, event ids and versions like those of `read`, in any order. Answers, at the end,
   * how many rows. Where its module declares `copyFormats`; any of them may be asked for.
   * @throws PipelineError `needs-staging` where a row would not become the same as on the staged
   *   road (a value that goes to review, a column of another type): then `read` is to tell them
   *   apart. `source-unavailable`; `extract-lost` when the range is no longer there.
   */
  copyRows?(range: PositionRange, context: CopyContext): AsyncGenerator<Uint8Array, number>;

  /** The declared schema, where `capabilities.importsSchema`. */
  importSchema?(schemaId: string, signal: AbortSignal): Promise<ImportedSchema>;
}
