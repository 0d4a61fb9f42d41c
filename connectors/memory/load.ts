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

interface StagedId {
  /** Of source and event id. */
  readonly key: string;
  readonly sha256: string;
  readonly ordinal: number;
}

/** One load. Its rows are its own until `commit`; then they appear at once, with the ledger row. */
export class MemoryLoad implements LoadTransaction {
  readonly #options: MemoryDestinationOptions;
  readonly #request: LoadRequest;
  readonly #rows: AddedRow[] = [];
  readonly #ids = new Map<string, string>();
  readonly #conflicts = new Set<string>();
  readonly #cleared = new Set<MemoryTable>();
  /** A rehearsal: what the batch did before does not count. */
  #takenBack = false;
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

  async takeIds(ids: EncodedIds, preceded: readonly number[]): Promise<TakenIds> {
    this.#assertOpen();
    const { warehouse } = this.#options;
    const { claim, write, signal } = this.#request;
    // All ids of a source at once: coarser than a warehouse locks, and as safe.
    const hold = { owner: this, exclusive: true };
    await warehouse.locks.take(`ids ${claim.source}`, hold, signal);
    const events = await this.#decodeIds(ids);
    const takers = this.#takeAbsent(events, new Set(preceded));
    const [duplicates, conflicts]: [number[], number[]] = [[], []];
    for (const { key, sha256, ordinal } of events) {
      if (takers.has(ordinal)) continue;
      const same = this.#takenBy(key) === sha256;
      const again = same || this.#isParked(key, sha256);
      if (again && write === 'append') duplicates.push(ordinal);
      else if (!same) conflicts.push(ordinal);
    }
    return { duplicates, conflicts };
  }

  /** Answers which events took their ids. */
  #takeAbsent(events: readonly StagedId[], late: ReadonlySet<number>): ReadonlySet<number> {
    const takers = new Set<number>();
    for (const { key, sha256, ordinal } of events) {
      if (late.has(ordinal) || this.#takenBy(key) !== undefined) continue;
      this.#ids.set(key, sha256);
      takers.add(ordinal);
    }
    return takers;
  }

  /** Hash of the event that has this id. */
  #takenBy(key: string): string | undefined {
    const before = this.#options.warehouse.eventIds.get(key);
    return this.#ids.get(key) ?? (this.#isBack(before) ? undefined : before?.sha256);
  }

  /** Whether an event with these bytes was found in conflict before; it is from now on. */
  #isParked(key: string, sha256: string): boolean {
    const conflict = JSON.stringify([key, sha256]);
    const before = this.#options.warehouse.idConflicts.get(conflict);
    if (this.#conflicts.has(conflict) || (before && !this.#isBack(before))) return true;
    this.#conflicts.add(conflict);
    return false;
  }

  async #decodeIds(ids: EncodedIds): Promise<readonly StagedId[]> {
    const chunks: Uint8Array[] = [];
    for await (const chunk of ids.read()) chunks.push(chunk);
    const { source } = this.#request.claim;
    return decodeRows(Buffer.concat(chunks).toString()).map(([id, sha256, ordinal]) => ({
      key: JSON.stringify([source, id]),
      sha256: sha256 ?? '',
      ordinal: Number(ordinal),
    }));
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
      const standing = this.#present(table).findLast((present) => keyOf(mapping, present) === key);
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

  async findStanding(rows: EncodedRows, from: number, to: number) {
    this.#assertOpen();
    const { mapping } = rows;
    const present = this.#present(must(this.#options.warehouse.table(mapping.table), 'the table'));
    const marks = await this.#decode(rows, from, to);
    const isSame = mapping.merge
      ? (row: MemoryRow, mark: MemoryRow) =>
          keyOf(mapping, row) === keyOf(mapping, mark) && !isNewer(mapping, mark, row)
      : (row: MemoryRow, mark: MemoryRow) => row.get('_event_id') === mark.get('_event_id');
    const found = marks.filter((mark) => present.some((row) => isSame(row, mark)));
    return found.map((mark) => mark.get('_event_id') ?? '');
  }

  async takeBack(): Promise<void> {
    this.#assertOpen();
    this.#takenBack = true;
  }

  #isBack(by: { readonly batchId: string } | undefined): boolean {
    return this.#takenBack && by?.batchId === this.#request.claim.batchId;
  }

  /** What a table holds for this transaction. */
  #present(table: MemoryTable): readonly MemoryRow[] {
    const { batchId } = this.#request.claim;
    const standing = this.#takenBack
      ? table.rows.filter((row) => row.get('_batch_id') !== batchId)
      : table.rows;
    return [...standing, ...this.#added(table)];
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
    const seen = { seenAt, batchId: row.batchId };
    for (const [key, sha256] of this.#ids) warehouse.eventIds.set(key, { ...seen, sha256 });
    for (const conflict of this.#conflicts) warehouse.idConflicts.set(conflict, seen);
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
    return !this.#present(table).some((present) => present.get('_event_id') === id);
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
