import type {
  CopyResult,
  EncodedIds,
  EncodedRows,
  LedgerCounts,
  LedgerRow,
  LoadRequest,
  LoadTransaction,
  TakenIds,
} from '../../core/destination.ts';
import { must, PipelineError } from '../../core/errors.ts';
import { rowColumns, type Mapping, type TableName } from '../../core/mapping.ts';
import type { Position } from '../../core/positions.ts';
import { decodeRows } from '../kit/json-rows.ts';
import { isNewer, keyOf } from './merge.ts';
import { fits, takes } from './values.ts';
import {
  tableKey,
  type MemoryDestinationOptions,
  type MemoryRow,
  type MemoryTable,
} from './warehouse.ts';

interface AddedRow {
  readonly table: MemoryTable;
  readonly row: MemoryRow;
  /** The row of the same key that goes. */
  readonly instead?: MemoryRow;
}

/** One load. Its rows are its own until `commit`; then they appear at once, with the ledger row. */
export class MemoryLoad implements LoadTransaction {
  readonly #options: MemoryDestinationOptions;
  readonly #request: LoadRequest;
  readonly #rows: AddedRow[] = [];
  readonly #ids = new Map<string, string>();
  readonly #cleared = new Set<MemoryTable>();
  #ledgerRow: LedgerRow | undefined;
  /** Committed, rolled back, or ended by another attempt. */
  #over = false;

  constructor(options: MemoryDestinationOptions, request: LoadRequest) {
    this.#options = options;
    this.#request = request;
  }

  async fence(): Promise<void> {
    const { locks } = this.#options.warehouse;
    const { installation, name } = this.#options;
    const { claim, fenceTimeoutMs, signal } = this.#request;
    const fence = `fence ${JSON.stringify([installation, name, claim.batchId])}`;
    while (!this.#take(fence, true)) {
      const patience = AbortSignal.timeout(fenceTimeoutMs);
      await locks.change(AbortSignal.any([signal, patience])).catch(() => undefined);
      signal.throwIfAborted();
      if (patience.aborted) locks.holders(fence).forEach((holder) => (holder as MemoryLoad).#end());
    }
  }

  async lockTables(): Promise<void> {
    const tables = this.#request.tables.map((table) => ({ ...table, key: tableKey(table) }));
    for (const { key, alone } of tables.toSorted((a, b) => (a.key < b.key ? -1 : 1))) {
      this.#assertOpen();
      const hold = { owner: this, exclusive: alone };
      await this.#options.warehouse.locks.take(`table ${key}`, hold, this.#request.signal);
    }
  }

  async claim(): Promise<LedgerRow | null> {
    this.#assertOpen();
    const { warehouse, installation, name } = this.#options;
    const { claim } = this.#request;
    const standing = warehouse
      .ledgerOf(installation, name)
      .find(({ batchId }) => batchId === claim.batchId);
    return standing ?? null;
  }

  async holdTables(mappings: readonly Mapping[]): Promise<void> {
    this.#assertOpen();
    for (const { table: name, columns } of mappings) {
      const standing = this.#options.warehouse.table(name)?.columns ?? [];
      const types = new Map(standing.map(({ column, type }) => [column, type]));
      const changed = columns.find(({ column, type }) => !takes(types.get(column), type));
      if (!changed) continue;
      throw new PipelineError('pin-outdated', `column ${changed.column} is not as it was mapped`);
    }
  }

  async takeIds(ids: EncodedIds): Promise<TakenIds> {
    this.#assertOpen();
    const { locks, eventIds } = this.#options.warehouse;
    const { claim, write, signal } = this.#request;
    // All ids of a source at once: coarser than a warehouse locks, and as safe.
    await locks.take(`ids ${claim.source}`, { owner: this, exclusive: true }, signal);
    const [duplicates, conflicts]: [number[], number[]] = [[], []];
    for (const [id = '', sha256 = '', ordinal] of await this.#decodeIds(ids)) {
      const key = JSON.stringify([claim.source, id]);
      const taken = this.#ids.get(key) ?? eventIds.get(key)?.sha256;
      if (taken === undefined) this.#ids.set(key, sha256 ?? '');
      else if (taken !== sha256) conflicts.push(Number(ordinal));
      else if (write === 'append') duplicates.push(Number(ordinal));
    }
    return { duplicates, conflicts };
  }

  async #decodeIds(ids: EncodedIds) {
    const chunks: Uint8Array[] = [];
    for await (const chunk of ids.read()) chunks.push(chunk);
    return decodeRows(Buffer.concat(chunks).toString());
  }

  async newestLoaded(lane: string): Promise<Position | null> {
    this.#assertOpen();
    const { warehouse, installation, name } = this.#options;
    const { source, batchId } = this.#request.claim;
    const ends = warehouse
      .ledgerOf(installation, name)
      .filter((row) => row.source === source && row.lane === lane && row.batchId !== batchId)
      .map(({ to }) => to);
    return ends.reduce<Position | null>((max, to) => (max !== null && max > to ? max : to), null);
  }

  async clear(table: TableName): Promise<void> {
    this.#assertOpen();
    this.#cleared.add(must(this.#options.warehouse.table(table), 'the table'));
  }

  async copy(rows: EncodedRows, from: number, to: number): Promise<CopyResult> {
    this.#assertOpen();
    const table = must(this.#options.warehouse.table(rows.mapping.table), 'the table');
    const decoded = await this.#decode(rows, from, to);
    this.#assertOpen();
    for (const [at, row] of decoded.entries()) {
      const wrong = table.columns.find(({ column, type }) => !fits(row.get(column) ?? null, type));
      if (!wrong) continue;
      const message = `column ${wrong.column}: the value does not fit`;
      return { ok: false, row: from + at, column: wrong.column, sqlState: '22008', message };
    }
    if (rows.mapping.merge) return this.#merge(table, rows.mapping, decoded);
    const added = decoded.filter((row) => this.#isWanted(table, row));
    this.#rows.push(...added.map((row) => ({ table, row })));
    const duplicate = decoded.length - added.length;
    return { ok: true, loaded: added.length, duplicate, superseded: 0 };
  }

  /** Of each key the newest row of these, where it is newer than the one that is there. */
  #merge(table: MemoryTable, mapping: Mapping, rows: readonly MemoryRow[]): CopyResult {
    const newest = new Map<string, MemoryRow>();
    for (const row of rows) {
      const key = keyOf(mapping, row);
      const other = newest.get(key);
      if (!other || isNewer(mapping, row, other)) newest.set(key, row);
    }
    let loaded = 0;
    for (const [key, row] of newest) {
      const standing = [...table.rows, ...this.#added(table)].findLast(
        (present) => keyOf(mapping, present) === key,
      );
      if (standing && !isNewer(mapping, row, standing)) continue;
      const whole = new Map([...row, ['_deleted', 'false']]);
      this.#rows.push({ table, row: whole, ...(standing && { instead: standing }) });
      loaded += 1;
    }
    return { ok: true, loaded, duplicate: 0, superseded: rows.length - loaded };
  }

  #added(table: MemoryTable): readonly MemoryRow[] {
    return this.#rows.filter((added) => added.table === table).map(({ row }) => row);
  }

  async conclude(counts: LedgerCounts): Promise<LedgerRow> {
    this.#assertOpen();
    const loadedAt = new Date().toISOString();
    return (this.#ledgerRow = { ...this.#request.claim, ...counts, loadedAt });
  }

  async commit(): Promise<void> {
    this.#assertOpen();
    const { warehouse, installation, name: destination } = this.#options;
    const row = must(this.#ledgerRow, 'the concluded ledger row');
    for (const table of this.#cleared) table.rows.length = 0;
    const committed = new Map<MemoryRow, MemoryRow>();
    for (const { table, row: added, instead } of this.#rows) {
      const whole = new Map([...added, ['_loaded_at', row.loadedAt]]);
      committed.set(added, whole);
      const old = instead && (committed.get(instead) ?? instead);
      if (old) table.rows.splice(table.rows.indexOf(old), 1);
      table.rows.push(whole);
    }
    const seenAt = Date.now();
    for (const [key, sha256] of this.#ids) warehouse.eventIds.set(key, { sha256, seenAt });
    warehouse.addToLedger({ installation, destination, row });
    this.#end();
    if (!warehouse.takeFault()) return;
    throw new PipelineError('destination-unavailable', 'the answer to the commit was lost');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end();
  }

  #take(name: string, exclusive: boolean): boolean {
    this.#assertOpen();
    return this.#options.warehouse.locks.tryTake(name, { owner: this, exclusive });
  }

  async #decode(rows: EncodedRows, from: number, to: number): Promise<MemoryRow[]> {
    const chunks: Uint8Array[] = [];
    for await (const chunk of rows.read(from, to)) {
      this.#request.signal.throwIfAborted();
      chunks.push(chunk);
    }
    const columns = rowColumns(rows.mapping);
    return decodeRows(Buffer.concat(chunks).toString()).map(
      (cells) => new Map(columns.map((column, at) => [column, cells[at] ?? null])),
    );
  }

  #isWanted(table: MemoryTable, row: MemoryRow): boolean {
    if (this.#request.write === 'append') return true;
    const id = row.get('_event_id');
    return ![...table.rows, ...this.#added(table)].some(
      (present) => present.get('_event_id') === id,
    );
  }

  #end(): void {
    this.#over = true;
    this.#rows.length = 0;
    this.#options.warehouse.locks.releaseAll(this);
  }

  #assertOpen(): void {
    this.#request.signal.throwIfAborted();
    this.#options.warehouse.assertReachable();
    if (!this.#over) return;
    throw new PipelineError('destination-unavailable', 'this load was ended');
  }
}
