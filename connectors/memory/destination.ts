import type {
  AppliedChange,
  ChangeOrder,
  Destination,
  LedgerRow,
  LedgerSurvey,
  LoadRequest,
  LoadTransaction,
  SchemaChange,
  TableColumn,
} from '../../core/destination.ts';
import { PipelineError } from '../../core/errors.ts';
import {
  extraColumn,
  keyColumns,
  metadataOf,
  type Mapping,
  type TableName,
} from '../../core/mapping.ts';
import { MemoryLoad } from './load.ts';
import { widenings } from './values.ts';
import { tableKey, type MemoryDestinationOptions } from './warehouse.ts';

type Column = SchemaChange['columns'][number] & { readonly by?: 'automapper' | 'person' };

/** The reference of a destination. See `core/destination.ts`. */
export class MemoryDestination implements Destination {
  readonly capabilities = { writeModes: ['append', 'merge', 'replace'] } as const;
  readonly #options: MemoryDestinationOptions;

  constructor(options: MemoryDestinationOptions) {
    this.#options = options;
  }

  async check(_signal: AbortSignal): Promise<void> {
    this.#options.warehouse.assertReachable();
  }

  async prepare(_signal: AbortSignal): Promise<void> {
    this.#options.warehouse.assertReachable();
  }

  async describeTable(
    table: TableName,
    _signal: AbortSignal,
  ): Promise<readonly TableColumn[] | null> {
    this.#options.warehouse.assertReachable();
    return this.#options.warehouse.table(table)?.columns ?? null;
  }

  async applyMapping(
    mapping: Mapping,
    signal: AbortSignal,
    order?: ChangeOrder,
  ): Promise<readonly AppliedChange[]> {
    const { warehouse, installation } = this.#options;
    warehouse.assertReachable();
    const owner = warehouse.foreignOwner(mapping.table, installation);
    if (owner !== undefined) {
      throw new PipelineError(
        'schema-rejected',
        `table ${tableKey(mapping.table)} was loaded by another installation (${owner})`,
      );
    }
    return this.#alone(mapping.table, signal, async () => {
      const changes = this.#planAll(mapping);
      const applied = changes.map((change) => ({ change, statement: describe(change) }));
      if (changes.length === 0) return applied;
      await order?.beforeCommit(applied);
      const table = warehouse.table(mapping.table) ?? warehouse.createTable(mapping.table);
      for (const { kind, columns } of changes) {
        if (kind === 'add-key') table.keyed = true;
        else table.columns = merge(table.columns, columns);
      }
      if (order) warehouse.changes.add(this.#changeKey(order.changeId));
      return applied;
    });
  }

  async committedChanges(
    table: TableName,
    changeIds: readonly string[],
    signal: AbortSignal,
  ): Promise<readonly string[]> {
    const { warehouse } = this.#options;
    warehouse.assertReachable();
    return this.#alone(table, signal, async () =>
      changeIds.filter((id) => warehouse.changes.has(this.#changeKey(id))),
    );
  }

  #changeKey(changeId: string): string {
    const { installation, name } = this.#options;
    return JSON.stringify([installation, name, changeId]);
  }

  /** One at a time looks at the columns of a table and changes them. */
  async #alone<T>(table: TableName, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const { locks } = this.#options.warehouse;
    const owner = {};
    await locks.take(`columns of ${tableKey(table)}`, { owner, exclusive: true }, signal);
    try {
      return await work();
    } finally {
      locks.releaseAll(owner);
    }
  }

  #planAll(mapping: Mapping): readonly SchemaChange[] {
    const standing = this.#options.warehouse.table(mapping.table);
    const changes = planChanges(mapping, standing?.columns);
    const key = keyColumns(mapping);
    if (!mapping.merge || key.length < mapping.merge.key.length || standing?.keyed) return changes;
    return [...changes, { table: mapping.table, kind: 'add-key', columns: key.map(plain) }];
  }

  async forgetIds(olderThanMs: number, _signal: AbortSignal): Promise<number> {
    const { eventIds, idConflicts } = this.#options.warehouse;
    const before = Date.now() - olderThanMs;
    const old = [...eventIds].filter(([, { seenAt }]) => seenAt < before);
    for (const [id] of old) eventIds.delete(id);
    for (const [conflict, { seenAt }] of idConflicts)
      if (seenAt < before) idConflicts.delete(conflict);
    return old.length;
  }

  async forgetFailed(batchId: string, _signal: AbortSignal): Promise<void> {
    const { warehouse, installation, name } = this.#options;
    const { eventIds, idConflicts } = warehouse;
    const row = warehouse.ledgerOf(installation, name).find((entry) => entry.batchId === batchId);
    const tables = Object.keys(row?.tables ?? {});
    for (const [key, by] of idConflicts) if (by.batchId === batchId) idConflicts.delete(key);
    if (warehouse.mergesAny(tables)) return;
    const loaded = warehouse.eventIdsIn(tables);
    for (const [key, by] of eventIds) {
      const [, id] = JSON.parse(key) as [source: string, id: string];
      if (by.batchId === batchId && !loaded.has(id)) eventIds.delete(key);
    }
  }

  async readLedger(
    batchIds: readonly string[],
    _signal: AbortSignal,
  ): Promise<readonly LedgerRow[]> {
    const { warehouse, installation, name } = this.#options;
    warehouse.assertReachable();
    return warehouse
      .ledgerOf(installation, name)
      .filter(({ batchId }) => batchIds.includes(batchId));
  }

  async surveyLedger(
    { source, lane }: { readonly source: string; readonly lane?: string },
    _signal: AbortSignal,
  ): Promise<LedgerSurvey> {
    const { warehouse, installation, name } = this.#options;
    warehouse.assertReachable();
    const furthest = new Map<string, LedgerRow>();
    for (const row of warehouse.ledgerOf(installation, name)) {
      const isLive = row.source === source && row.batchId.startsWith(`${source}/`);
      if (!isLive || (lane !== undefined && row.lane !== lane)) continue;
      if (row.to > (furthest.get(row.lane)?.to ?? '')) furthest.set(row.lane, row);
    }
    const rows = [...furthest.values()];
    return {
      incarnation: '',
      furthest: rows.map(({ lane: at, batchId }) => ({ lane: at, batchId })),
    };
  }

  async pageLedger(
    {
      source,
      after,
      limit,
    }: { readonly source: string; readonly after: string; readonly limit: number },
    _signal: AbortSignal,
  ): Promise<readonly LedgerRow[]> {
    const { warehouse, installation, name } = this.#options;
    warehouse.assertReachable();
    return warehouse
      .ledgerOf(installation, name)
      .filter((row) => row.source === source && row.batchId > after)
      .toSorted((a, b) => (a.batchId < b.batchId ? -1 : 1))
      .slice(0, limit);
  }

  async adoptLedger(
    { sources, dryRun }: { readonly sources: readonly string[]; readonly dryRun: boolean },
    _signal: AbortSignal,
  ): Promise<number> {
    const { warehouse, installation, name } = this.#options;
    warehouse.assertReachable();
    return warehouse.adopt({ installation, destination: name, sources, dryRun });
  }

  async beginLoad(request: LoadRequest): Promise<LoadTransaction> {
    request.signal.throwIfAborted();
    this.#options.warehouse.assertReachable();
    return new MemoryLoad(this.#options, request);
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

function planChanges(
  mapping: Mapping,
  standing: readonly TableColumn[] | undefined,
): SchemaChange[] {
  const { table, columns, extra } = mapping;
  const wanted: Column[] = [...metadataOf(mapping), ...columns];
  if (extra) wanted.push({ column: extraColumn, type: 'json' });
  if (!standing) return [{ table, kind: 'create-table', columns: wanted.map(plain) }];
  const types = new Map(standing.map(({ column, type }) => [column, type]));
  const changes: SchemaChange[] = [
    {
      table,
      kind: 'add-column',
      columns: wanted.filter(({ column }) => !types.has(column)).map(plain),
    },
    {
      table,
      kind: 'widen-column',
      columns: wanted.filter((column) => mayChange(column, types.get(column.column))).map(plain),
    },
  ];
  return changes.filter((change) => change.columns.length > 0);
}

function plain({ column, type }: Column) {
  return { column, type };
}

function mayChange({ type, by }: Column, standing: string | undefined): boolean {
  if (standing === undefined || standing === type) return false;
  return by === 'person' || widenings.some(([from, to]) => from === standing && to === type);
}

function merge(standing: readonly TableColumn[], changed: readonly TableColumn[]): TableColumn[] {
  const columns = new Map(standing.map((column) => [column.column, column]));
  for (const column of changed) columns.set(column.column, column);
  return [...columns.values()];
}

function describe({ kind, table, columns }: SchemaChange): string {
  const list = columns.map(({ column, type }) => `${column} ${type}`).join(', ');
  return `${kind} ${tableKey(table)}: ${list}`;
}
