import type { LedgerRow, TableColumn } from '../../core/destination.ts';
import { PipelineError } from '../../core/errors.ts';
import type { TableName } from '../../core/mapping.ts';
import { Locks } from './locks.ts';

export type MemoryRow = ReadonlyMap<string, string | null>;

export interface MemoryTable {
  columns: readonly TableColumn[];
  /** Rows of one key cannot meet in it. */
  keyed: boolean;
  readonly rows: MemoryRow[];
}

/** When an id came, and with which batch. */
interface SeenId {
  readonly seenAt: number;
  readonly batchId: string;
}

interface LedgerEntry {
  installation: string;
  destination: string;
  readonly row: LedgerRow;
}

/** What is durable: tables and the ledger. Several destinations may connect to one warehouse. */
export class MemoryWarehouse {
  readonly locks = new Locks();
  readonly #tables = new Map<string, MemoryTable>();
  readonly #ledger: LedgerEntry[] = [];
  /** By source and event id. */
  readonly eventIds = new Map<string, SeenId & { readonly sha256: string }>();
  /** By event id and hash: those that came with other bytes than the first. */
  readonly idConflicts = new Map<string, SeenId>();
  /** Changes of tables that are durable, by installation and destination. */
  readonly changes = new Set<string>();
  #faults: 'fail-after-write'[] = [];
  reachable = true;

  /** The next commit succeeds, and its answer is lost. */
  failAfterWrite(): void {
    this.#faults.push('fail-after-write');
  }

  takeFault(): boolean {
    return this.#faults.pop() !== undefined;
  }

  assertReachable(): void {
    if (this.reachable) return;
    throw new PipelineError('destination-unavailable', 'the warehouse is away: bring it back');
  }

  table(name: TableName): MemoryTable | undefined {
    return this.#tables.get(tableKey(name));
  }

  /** Ids of the events that have rows in these tables. */
  eventIdsIn(keys: readonly string[]): ReadonlySet<string> {
    const rows = keys.flatMap((key) => this.#tables.get(key)?.rows ?? []);
    return new Set(rows.map((row) => row.get('_event_id') ?? ''));
  }

  /** Whether in one of these tables newer rows take the place of older ones. */
  mergesAny(keys: readonly string[]): boolean {
    return keys.some((key) =>
      this.#tables.get(key)?.columns.some(({ column }) => column === '_version'),
    );
  }

  createTable(name: TableName): MemoryTable {
    const table: MemoryTable = { columns: [], keyed: false, rows: [] };
    this.#tables.set(tableKey(name), table);
    return table;
  }

  /** Gives rows of other installations to this one. */
  adopt(of: {
    readonly installation: string;
    readonly destination: string;
    readonly sources: readonly string[];
    readonly dryRun: boolean;
  }): number {
    const { installation, destination, sources, dryRun } = of;
    const ours = new Set(this.ledgerOf(installation, destination).map(({ batchId }) => batchId));
    const foreign = this.#ledger.filter(
      (entry) =>
        entry.installation !== installation &&
        sources.includes(entry.row.source) &&
        !ours.has(entry.row.batchId),
    );
    if (!dryRun) for (const entry of foreign) Object.assign(entry, { installation, destination });
    return foreign.length;
  }

  ledgerOf(installation: string, destination: string): readonly LedgerRow[] {
    return this.#ledger
      .filter((entry) => entry.installation === installation && entry.destination === destination)
      .map(({ row }) => row);
  }

  addToLedger(entry: LedgerEntry): void {
    this.#ledger.push(entry);
  }

  /** Another installation that loaded a table. */
  foreignOwner(table: TableName, installation: string): string | undefined {
    return this.#ledger.find(
      (entry) => entry.installation !== installation && tableKey(table) in entry.row.tables,
    )?.installation;
  }
}

export interface MemoryDestinationOptions {
  readonly warehouse: MemoryWarehouse;
  readonly name: string;
  readonly installation: string;
}

export function tableKey({ schema, name }: TableName): string {
  return `${schema}.${name}`;
}
