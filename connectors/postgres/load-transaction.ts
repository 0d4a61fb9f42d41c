import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { pipeline } from 'node:stream/promises';
import { Readable } from 'node:stream';
import type pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import type {
  CopiedRows,
  CopyResult,
  EncodedIds,
  EncodedRows,
  LedgerCounts,
  LedgerRow,
  LoadRequest,
  LoadTransaction,
  TakenIds,
} from '../../core/destination.ts';
import { failpoint } from '../../core/failpoints.ts';
import { rowColumns, type Mapping, type TableName } from '../../core/mapping.ts';
import type { Position } from '../../core/positions.ts';
import type { Lease, LeasedClient } from './connection.ts';
import { isInfrastructure, sqlStateOf, toDestinationError, toRefusal } from './errors.ts';
import { createIdStage, idColumns, takeStagedIds } from './event-ids.ts';
import { completeLedger, insertLedger, selectLedger, selectNewest } from './ledger.ts';
import type { LedgerKey } from './ledger-key.ts';
import { mergeStatement } from './merge-rows.ts';
import { describeTable, hasKey } from './schema.ts';
import { countRows } from './sent-rows.ts';
import { createMarkStage, markColumns, markStage, selectStanding } from './standing-events.ts';
import { findConverted, holdTables } from './table-shape.ts';
import { quoteLiteral, quoteName, quoteTable } from './sql-names.ts';
import { takeBack } from './take-back.ts';

const fencePollMs = 100;
/** Waiting longer for a table is the infrastructure's fault: the load is tried again. */
const lockTimeout = '30s';
const uniqueViolation = '23505';

/** Statements must see what was committed while they waited for a lock, whatever the role's default. */
const beginLoad = 'BEGIN ISOLATION LEVEL READ COMMITTED';
/** What is settled was on disk before: a role that wants fast commits does not get them here. */
const durableCommit = `SELECT set_config('synchronous_commit', 'on', true)
  WHERE current_setting('synchronous_commit') = 'off'`;

export interface LoadSession extends LeasedClient {
  readonly ledger: LedgerKey;
  readonly request: LoadRequest;
  readonly place: string;
}

/** One load as one PostgreSQL transaction. See `core/destination.ts` for the order of calls. */
export class PostgresLoad implements LoadTransaction {
  readonly #client: pg.PoolClient;
  readonly #ledger: LedgerKey;
  readonly #request: LoadRequest;
  readonly #place: string;
  readonly #lease: Lease;
  readonly #fenceName: string;
  #open = false;

  private constructor({ client, lease, ledger, request, place }: LoadSession) {
    this.#client = client;
    this.#ledger = ledger;
    this.#request = request;
    this.#place = place;
    this.#lease = lease;
    this.#fenceName = fenceName(ledger, request.claim.batchId);
  }

  static async begin(session: LoadSession): Promise<PostgresLoad> {
    const load = new PostgresLoad(session);
    try {
      await load.#query(beginLoad);
      load.#open = true;
      await load.#query(durableCommit);
      await load.#query(`SET LOCAL lock_timeout = '${lockTimeout}'`);
      // A deferred check would fail at COMMIT, where no row can be told from the others.
      await load.#query('SET CONSTRAINTS ALL IMMEDIATE');
      await load.#query(`SET LOCAL application_name = ${quoteLiteral(load.#fenceName)}`);
      return load;
    } catch (error) {
      await load[Symbol.asyncDispose]();
      throw error;
    }
  }

  async fence(): Promise<void> {
    let deadline = Date.now() + this.#request.fenceTimeoutMs;
    while (!(await this.#tryFence())) {
      await sleep(fencePollMs, undefined, { signal: this.#request.signal });
      if (Date.now() < deadline) continue;
      await this.#endOlderAttempt();
      deadline = Date.now() + this.#request.fenceTimeoutMs;
    }
  }

  async lockTables(): Promise<void> {
    const tables = this.#request.tables.map((table) => ({ ...table, lock: lockName(table) }));
    for (const { lock, alone } of tables.toSorted((a, b) => (a.lock < b.lock ? -1 : 1))) {
      const shared = alone ? '' : '_shared';
      await this.#query(`SELECT pg_advisory_xact_lock${shared}(hashtextextended($1, 2))`, [lock]);
    }
  }

  async claim(): Promise<LedgerRow | null> {
    return this.#guard(async () => {
      const { claim } = this.#request;
      if (await insertLedger(this.#client, this.#ledger, claim)) return null;
      const [row] = await selectLedger(this.#client, this.#ledger, [claim.batchId]);
      return row ?? null;
    });
  }

  async holdTables(mappings: readonly Mapping[]): Promise<void> {
    await this.#guard(() => holdTables(this.#client, mappings));
  }

  async takeIds(ids: EncodedIds, preceded: readonly number[]): Promise<TakenIds> {
    return this.#guard(async () => {
      const stage = await createIdStage(this.#client);
      await this.#copyInto(stage, idColumns, ids.read());
      const resends = this.#request.write === 'append-absent';
      const { source } = this.#request.claim;
      return takeStagedIds(this.#client, { source, preceded, resends });
    });
  }

  async newestLoaded(lane: string): Promise<Position | null> {
    const { source, batchId } = this.#request.claim;
    return this.#guard(() => selectNewest(this.#client, this.#ledger, { source, lane, batchId }));
  }

  /** Not TRUNCATE: it locks readers out, and empties the table for their snapshots too. */
  async clear(table: TableName): Promise<void> {
    await this.#query(`DELETE FROM ${quoteTable(table)}`);
  }

  async copy(rows: EncodedRows, from: number, to: number): Promise<CopyResult> {
    await this.#query('SAVEPOINT part');
    try {
      const { loaded } = await this.#insert(rows, () => rows.read(from, to));
      await this.#query('RELEASE SAVEPOINT part');
      return countResult(rows.mapping, { received: to - from, loaded });
    } catch (error) {
      const refusal = this.#toRefusal(error, from);
      // Released too: savepoints that stay would lie one in the other, thousands deep.
      await this.#query('ROLLBACK TO SAVEPOINT part; RELEASE SAVEPOINT part');
      return refusal;
    }
  }

  async pipe(rows: CopiedRows): Promise<CopyResult> {
    const misfit = await this.#guard(() => findConverted(this.#client, rows.mapping));
    if (misfit !== null) return { ok: false, sqlState: '42804', message: misfit };
    const sent = countRows(rows);
    try {
      const { received, loaded } = await this.#insert(rows, () => sent.read());
      sent.assertAll(received);
      return countResult(rows.mapping, { received, loaded });
    } catch (error) {
      return this.#toRefusal(error, 0);
    }
  }

  async findStanding(rows: EncodedRows, from: number, to: number) {
    const { mapping } = rows;
    await this.#query('SAVEPOINT marks');
    try {
      await createMarkStage(this.#client, mapping);
      await this.#copyInto(markStage, markColumns(mapping), rows.read(from, to));
      const found = await selectStanding(this.#client, mapping);
      await this.#query('RELEASE SAVEPOINT marks');
      return found;
    } catch (error) {
      this.#toRefusal(error, from);
      await this.#query('ROLLBACK TO SAVEPOINT marks; RELEASE SAVEPOINT marks');
      return null;
    }
  }

  async takeBack(): Promise<void> {
    await this.#guard(() => takeBack(this.#client, this.#ledger, this.#request));
  }

  async conclude(counts: LedgerCounts): Promise<LedgerRow> {
    const { batchId } = this.#request.claim;
    return this.#guard(() => completeLedger(this.#client, { ...this.#ledger, batchId }, counts));
  }

  async commit(): Promise<void> {
    await Promise.all([this.#query('COMMIT'), failpoint('commit-sent')]);
    this.#open = false;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#open && !this.#lease.broken) {
      await this.#client.query('ROLLBACK').catch(() => void (this.#lease.broken = true));
    }
    this.#open = false;
    this.#lease.release();
  }

  async #tryFence(): Promise<boolean> {
    const { rows } = await this.#query<{ taken: boolean }>(
      'SELECT pg_try_advisory_xact_lock(hashtextextended($1, 3)) AS taken',
      [this.#fenceName],
    );
    return rows[0]?.taken === true;
  }

  /** A stopped process inside COPY would hold its locks for ever. */
  async #endOlderAttempt(): Promise<void> {
    await this.#query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE application_name = $1 AND pid <> pg_backend_pid() AND backend_start IS NOT NULL
          AND pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted)`,
      [this.#fenceName],
    );
  }

  async #insert(
    rows: Pick<EncodedRows, 'mapping' | 'laterColumns'>,
    content: () => AsyncIterable<Uint8Array>,
  ): Promise<CopyCount> {
    const { mapping } = rows;
    const columns = rowColumns(mapping).map(quoteName).join(', ');
    if (this.#request.write === 'append' && !mapping.merge) {
      const loaded = await this.#copyInto(quoteTable(mapping.table), columns, content());
      return { received: loaded, loaded };
    }
    if (await this.#expectsNewKeys(mapping)) {
      const loaded = await this.#copyNew(mapping.table, columns, content());
      if (loaded !== null) return { received: loaded, loaded };
    }
    const stage = await this.#createStage(mapping.table);
    const received = await this.#copyInto(stage, columns, content());
    if (mapping.merge) return { received, loaded: await this.#merge(rows, stage) };
    const { rowCount } = await this.#client.query(
      `INSERT INTO ${quoteTable(mapping.table)} (${columns})
       SELECT ${columns} FROM ${stage} AS staged
        WHERE NOT EXISTS (SELECT FROM ${quoteTable(mapping.table)} AS present
                           WHERE present._event_id = staged._event_id)`,
    );
    return { received, loaded: rowCount ?? 0 };
  }

  /**
   * No row of the table is there yet; or a row that changes gets another key, its version. Only
   * where the key is there to say so if they come all the same: somebody may have dropped it.
   */
  async #expectsNewKeys(mapping: Mapping): Promise<boolean> {
    const { merge, table } = mapping;
    if (!merge || !(await hasKey(this.#client, mapping))) return false;
    if (merge.version !== undefined && merge.key.includes(merge.version)) return true;
    const { rows } = await this.#client.query(`SELECT FROM ${quoteTable(table)} LIMIT 1`);
    return rows.length === 0;
  }

  /** Null: some key was there already, or came twice. Nothing of it stays then. */
  async #copyNew(
    table: TableName,
    columns: string,
    content: AsyncIterable<Uint8Array>,
  ): Promise<number | null> {
    await this.#client.query('SAVEPOINT new_keys');
    try {
      const loaded = await this.#copyInto(quoteTable(table), columns, content);
      await this.#client.query('RELEASE SAVEPOINT new_keys');
      return loaded;
    } catch (error) {
      if (sqlStateOf(error) !== uniqueViolation) throw error;
      await this.#client.query('ROLLBACK TO SAVEPOINT new_keys; RELEASE SAVEPOINT new_keys');
      return null;
    }
  }

  async #merge(
    rows: Pick<EncodedRows, 'mapping' | 'laterColumns'>,
    stage: string,
  ): Promise<number> {
    const { mapping } = rows;
    const standing = (await describeTable(this.#client, mapping.table)) ?? [];
    const later = new Set(await rows.laterColumns());
    const cleared = standing.map(({ column }) => column).filter((column) => later.has(column));
    const { rowCount } = await this.#client.query(mergeStatement({ stage, mapping, cleared }));
    return rowCount ?? 0;
  }

  /** @throws what is not the fault of a row */
  #toRefusal(error: unknown, firstRow: number): Extract<CopyResult, { ok: false }> {
    const sqlState = sqlStateOf(error);
    if (sqlState === undefined || sqlState.startsWith('42') || isInfrastructure(error)) {
      throw this.#translate(error);
    }
    return toRefusal(error, firstRow);
  }

  /** An empty temporary table of the same shape, gone with the transaction. */
  async #createStage(table: TableName): Promise<string> {
    const name = quoteName(`millrace_${shortHash(`${table.schema}.${table.name}`)}`);
    await this.#client.query(
      `CREATE TEMPORARY TABLE IF NOT EXISTS ${name} (LIKE ${quoteTable(table)} INCLUDING DEFAULTS)
       ON COMMIT DROP`,
    );
    await this.#client.query(`TRUNCATE ${name}`);
    return name;
  }

  async #copyInto(
    target: string,
    columns: string,
    content: AsyncIterable<Uint8Array>,
  ): Promise<number> {
    const sql = `COPY ${target} (${columns}) FROM STDIN WITH (FORMAT text, ENCODING 'UTF8')`;
    const stream = this.#client.query(copyFrom(sql));
    await pipeline(Readable.from(announceCopy(content), { objectMode: false }), stream);
    return stream.rowCount;
  }

  #query<Row extends pg.QueryResultRow>(sql: string, values?: unknown[]) {
    return this.#guard(() => this.#client.query<Row>(sql, values));
  }

  async #guard<T>(call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (error) {
      throw this.#translate(error);
    }
  }

  #translate(error: unknown): unknown {
    if (isInfrastructure(error)) this.#lease.broken = true;
    return this.#request.signal.aborted
      ? this.#request.signal.reason
      : toDestinationError(error, this.#place);
  }
}

interface CopyCount {
  readonly received: number;
  readonly loaded: number;
}

function countResult({ merge }: Mapping, { received, loaded }: CopyCount): CopyResult {
  const left = received - loaded;
  const [duplicate, superseded] = merge ? [0, left] : [left, 0];
  return { ok: true, loaded, duplicate, superseded };
}

/** The same bytes, with failpoints at the first of them, amid the first chunk, and at their end. */
async function* announceCopy(content: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  let first = true;
  for await (const chunk of content) {
    if (!first) {
      yield chunk;
      continue;
    }
    first = false;
    const middle = Math.max(1, chunk.length >> 1);
    yield chunk.subarray(0, 1);
    await failpoint('copy-begun');
    yield chunk.subarray(1, middle);
    await failpoint('copy-middle');
    yield chunk.subarray(middle);
  }
  await failpoint('copy-ended');
}

function lockName({ schema, name }: TableName): string {
  return `${schema}.${name}`;
}

/** Names the session of a load too: at most 63 bytes. */
export function fenceName({ installation, destination }: LedgerKey, batchId: string): string {
  return `millrace-load-${shortHash(JSON.stringify([installation, destination, batchId]))}`;
}

function shortHash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 32);
}
