import { to as copyTo } from 'pg-copy-streams';
import { toFieldPath } from '../../core/field-types.ts';
import { isPipelineError, must } from '../../core/errors.ts';
import type { Position, PositionRange } from '../../core/positions.ts';
import type { RecordBlock } from '../../core/records.ts';
import type {
  AskedWindow,
  CopyContext,
  ImportedSchema,
  KnownLane,
  LanePlan,
  ObservedLane,
  PlanLimits,
  PositionWindow,
  ReadContext,
  ReplayableSource,
} from '../../core/source.ts';
import { PostgresConnections } from './connection.ts';
import { windowOf } from './source/asked-window.ts';
import { betweenSql } from './source/between-sql.ts';
import { BlockBuilder, type RowLabels } from './source/blocks.ts';
import { checkTables, notesOf } from './source/check.ts';
import { fieldsOf } from './source/columns.ts';
import { readCopyRows } from './source/copy-rows.ts';
import { cursorStart, formatCursor, formatGeneration, parseGeneration } from './source/cursor.ts';
import { placeIn } from './source/era.ts';
import { sourceWords, toCopyFault, toLaneFault, toReadFault, wrong } from './source/faults.ts';
import { renewMemo } from './source/memo.ts';
import { planFollowed } from './source/plan-followed.ts';
import { parsePoint } from './source/point.ts';
import { beginReading, isFollowed, lockShape, probe, selectRows } from './source/rows-sql.ts';
import { openSession, queryOn } from './source/session.ts';
import type { PostgresSourceSettings } from './source/settings.ts';
import {
  describeTable,
  findTable,
  findTables,
  type Query,
  type Reading,
  type SourceTable,
  type TableShape,
} from './source/tables.ts';
import { selectWholeRows } from './source/whole-rows-sql.ts';
import { mayBeWhole, requireWhole } from './source/whole-shape.ts';

const maxConnections = 4;

/**
 * Tables of a PostgreSQL database (15 or newer); each is a lane. Followed by a cursor column, or
 * read as a whole each time. What that can miss: README.md beside this file.
 */
export class PostgresSource implements ReplayableSource {
  readonly capabilities = { mutable: true, importsSchema: true } as const;
  readonly #name: string;
  readonly #settings: PostgresSourceSettings;
  readonly #connections: PostgresConnections;
  /** As they were when lanes were asked for; plans are made right behind. */
  #tables: readonly SourceTable[] | undefined;

  constructor(name: string, settings: PostgresSourceSettings) {
    this.#name = name;
    this.#settings = settings;
    this.#connections = new PostgresConnections(must(settings.url), maxConnections, sourceWords);
  }

  async check(signal: AbortSignal): Promise<void> {
    const query = this.#query(signal);
    const reading: Reading = (work) => this.#read(signal, work);
    await checkTables({ query, reading }, await findTables(query, this.#settings));
  }

  notes(): readonly string[] {
    return notesOf(this.#settings);
  }

  async lanes(known: readonly KnownLane[], signal: AbortSignal): Promise<readonly ObservedLane[]> {
    const memos = new Map(known.map(({ name, memo }) => [name, memo]));
    this.#tables = await findTables(this.#query(signal), this.#settings);
    return this.#tables.map(({ lane, stream, settings }) => ({
      name: lane,
      stream,
      memo: memos.get(lane) ?? '',
      ...(settings.cursor === undefined
        ? { whole: true, start: formatGeneration(0) }
        : { start: cursorStart }),
    }));
  }

  async plan(
    lane: ObservedLane,
    from: Position,
    limits: PlanLimits,
    signal: AbortSignal,
  ): Promise<LanePlan> {
    const query = this.#query(signal);
    try {
      const tables = this.#tables ?? (await findTables(query, this.#settings));
      const shape = await describeTable(query, findTable(tables, lane.name));
      const reading: Reading = (work) => this.#read(signal, work);
      await reading((within) => probe(within, shape));
      if (!isFollowed(shape)) return await planWhole(reading, shape, lane, from);
      return await planFollowed(
        { source: this.#name, query, reading, shape, limits: limitsFor(shape, limits) },
        lane.memo,
        from,
      );
    } catch (error) {
      throw toLaneFault(error, lane.name);
    }
  }

  async *read(range: PositionRange, context: ReadContext): AsyncIterable<RecordBlock> {
    context.signal.throwIfAborted();
    const lane = context.lane.name;
    try {
      yield* this.#copy(range, context);
    } catch (error) {
      throw toReadFault(error, lane);
    }
  }

  async *copyRows(range: PositionRange, context: CopyContext): AsyncGenerator<Uint8Array, number> {
    context.signal.throwIfAborted();
    const lane = context.lane.name;
    try {
      return yield* this.#copyWhole(range, context);
    } catch (error) {
      throw toCopyFault(error, lane);
    }
  }

  async holds(
    _range: PositionRange,
    { lane, signal }: Omit<ReadContext, 'limits'>,
  ): Promise<boolean> {
    try {
      const shape = await this.#describe(this.#query(signal), lane.name);
      await this.#read(signal, (query) => probe(query, shape));
      return true;
    } catch (error) {
      if (isPipelineError(error)) return false;
      throw error;
    }
  }

  async window(lane: KnownLane, asked: AskedWindow): Promise<PositionWindow> {
    return windowOf(lane, asked);
  }

  async noteAt({ memo }: ObservedLane, _position: Position, head: Position): Promise<string> {
    return renewMemo(memo, head);
  }

  async importSchema(schemaId: string, signal: AbortSignal): Promise<ImportedSchema> {
    const query = this.#query(signal);
    const tables = await findTables(query, this.#settings);
    const table = tables.find(({ stream }) => stream === schemaId);
    if (!table) throw wrong(schemaId, 'is gone, or no longer in tables');
    const { columns, key, cursor } = await describeTable(query, table);
    return {
      stream: schemaId,
      fields: fieldsOf(columns),
      ...(key.length > 0 && { key: key.map((name) => toFieldPath([name])) }),
      ...(cursor === undefined && { whole: true }),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connections[Symbol.asyncDispose]();
  }

  async #describe(query: Query, lane: string): Promise<TableShape> {
    const tables = await findTables(query, this.#settings);
    return describeTable(query, findTable(tables, lane));
  }

  /** A table as it stays until the transaction ends. */
  async #lock(query: Query, lane: string): Promise<TableShape> {
    const table = findTable(await findTables(query, this.#settings), lane);
    if (!table.isMissing) await lockShape(query, table);
    return describeTable(query, table);
  }

  #labels(shape: TableShape, { to }: PositionRange): RowLabels {
    const { table, cursor } = shape;
    const { era } = placeIn(shape, to);
    return {
      stream: table.stream,
      idPrefix: `${this.#name}/${table.lane}/`,
      toVersion: (digits) =>
        cursor ? era + formatCursor(cursor.kind, digits === null ? 'floor' : BigInt(digits)) : to,
    };
  }

  #query(signal: AbortSignal): Query {
    return (sql, values = []) => this.#connections.query(sql, [...values], signal);
  }

  /** Runs statements in one transaction, under the settings that rows are read with. */
  #read<T>(signal: AbortSignal, work: (query: Query) => Promise<T>): Promise<T> {
    return this.#connections.run(signal, async (client) => {
      await client.query(beginReading);
      const result = await work(queryOn(client));
      await client.query('COMMIT');
      return result;
    });
  }

  async *#copy(range: PositionRange, { lane, limits, signal }: ReadContext) {
    try {
      await using session = await openSession(this.#connections, signal);
      const shape = await this.#lock(session.query, lane.name);
      const rows = selectRows(shape, conditionOf(shape, range));
      const builder = new BlockBuilder(this.#labels(shape, range), limits);
      const stream = session.client.query(copyTo(`COPY (${rows}) TO STDOUT (FORMAT binary)`));
      const found = readCopyRows(stream as AsyncIterable<Uint8Array>);
      for await (const some of found) yield* builder.add(some);
      await session.finish();
      yield* builder.flush();
    } catch (error) {
      throw signal.aborted ? signal.reason : sourceWords.toError(error, this.#connections.place);
    }
  }

  async *#copyWhole(
    range: PositionRange,
    { lane, mapping, batchId, signal }: CopyContext,
  ): AsyncGenerator<Uint8Array, number> {
    try {
      await using session = await openSession(this.#connections, signal);
      const shape = await this.#lock(session.query, lane.name);
      requireWhole(shape, mapping);
      const { idPrefix } = this.#labels(shape, range);
      const condition = conditionOf(shape, range);
      const rows = selectWholeRows({ shape, condition, mapping, batchId, idPrefix, to: range.to });
      const sql = `COPY (${rows}) TO STDOUT (FORMAT text, ENCODING 'UTF8')`;
      const stream = session.client.query(copyTo(sql));
      yield* stream as AsyncIterable<Uint8Array>;
      await session.finish();
      return stream.rowCount;
    } catch (error) {
      throw signal.aborted ? signal.reason : sourceWords.toError(error, this.#connections.place);
    }
  }
}

/** Rows that can be copied as they are come in larger ranges, where those may. */
function limitsFor(shape: TableShape, limits: PlanLimits): PlanLimits {
  return mayBeWhole(shape) ? { ...limits, ...limits.copied } : limits;
}

/** One range: the next generation, however often it is asked. */
async function planWhole(
  reading: Reading,
  { table }: TableShape,
  { memo }: ObservedLane,
  from: Position,
): Promise<LanePlan> {
  const to = formatGeneration(parseGeneration(from) + 1);
  return {
    ranges: [{ from, to, bytes: await reading((query) => sizeOf(query, table)) }],
    memo,
    isAll: true,
  };
}

type Placed = ReturnType<typeof placeIn>;

function conditionOf(shape: TableShape, { from, to }: PositionRange): string {
  if (!isFollowed(shape)) {
    parseGeneration(to);
    return 'true';
  }
  const { kind } = shape.cursor;
  const [start, end] = [from, to].map((at) => placeIn(shape, at)) as [Placed, Placed];
  // A range that begins in an older era, as `recover` makes one of a gap, has all of its own.
  const begin = start.era === end.era ? start.place : cursorStart;
  return betweenSql(shape, parsePoint(kind, begin), parsePoint(kind, end.place));
}

async function sizeOf(query: Query, { schema, name }: SourceTable): Promise<number> {
  const [row] = await query<{ bytes: string }>(
    `SELECT coalesce(pg_table_size(c.oid), 0)::text AS bytes
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname = $1 AND c.relname = $2`,
    [schema, name],
  );
  return Number(row?.bytes ?? 0);
}
