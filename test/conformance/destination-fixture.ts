import { expect } from 'vitest';
import type {
  Destination,
  EncodedIds,
  EncodedRows,
  LoadRequest,
  LoadTransaction,
} from '../../core/destination.ts';
import type { ColumnMapping, Mapping, RowEncoding, TableName } from '../../core/mapping.ts';
import type { BatchToLoad, LoadCallbacks } from '../../pipeline/batches/batch-to-load.ts';

export interface Identity {
  readonly installation?: string;
  readonly name?: string;
}

/** A warehouse of its own, real, of the kind that is tested. */
export interface DestinationFixture extends AsyncDisposable {
  readonly encoding: RowEncoding;
  /** Connects to it; by default as `warehouse` of one and the same installation. */
  open(identity?: Identity): Promise<Destination>;
  /** Connects so that the next commit succeeds and its answer is lost. */
  openLosingCommit(): Promise<Destination>;
  /** Connects to a warehouse that is away. */
  openAway(): Promise<Destination>;
  /** What a table holds, each value as text, by column; in any order. */
  rows(table: TableName): Promise<readonly Readonly<Record<string, string | null>>[]>;
}

export const { signal } = new AbortController();
export const orders: TableName = { schema: 'shop', name: 'orders' };
export const visits: TableName = { schema: 'shop', name: 'visits' };

export const orderColumns: readonly ColumnMapping[] = [
  { path: 'id', column: 'id', type: 'int64', by: 'automapper' },
  { path: 'amount', column: 'amount', type: 'decimal', by: 'automapper' },
  { path: 'day', column: 'day', type: 'date', by: 'automapper' },
  { path: 'note', column: 'note', type: 'text', by: 'automapper' },
];

export function mappingOf(
  table: TableName,
  columns: readonly ColumnMapping[] = orderColumns,
): Mapping {
  const [source, stream, destination] = [table.schema, table.name, 'warehouse'];
  return { source, stream, destination, version: 1, table, columns, extra: false };
}

export interface Order {
  readonly id: number;
  readonly amount?: string | null;
  /** A day that no calendar has gets through the mapping's eyes here, not through a warehouse's. */
  readonly day?: string | null;
  readonly note?: string | null;
  /** Of the row, in merge tables. */
  readonly version?: string;
}

export const noSuchDay = '2021-02-30';
export const someOrders = (from: number, to: number): readonly Order[] =>
  Array.from({ length: to - from }, (_, at) => ({ id: from + at }));

function encodeOrders(
  encoding: RowEncoding,
  { batchId, list, mapping }: { batchId: string; list: readonly Order[]; mapping: Mapping },
): EncodedRows {
  const { separator, terminator, nullCell } = encoding;
  const text = (value: string | null) => (value === null ? nullCell : encoding.escape(value));
  const encoded = list.map(
    ({ id, amount = '1.50', day = '2021-02-28', note = 'plain', ...row }) => {
      const cells = [text(`order/${id}`), text(batchId)];
      if (mapping.merge) cells.push(text(row.version ?? '0'));
      const values: Readonly<Record<string, string>> = {
        id: String(id),
        amount: amount ?? nullCell,
        day: day ?? nullCell,
        note: text(note),
      };
      for (const { path } of mapping.columns) cells.push(values[path] ?? nullCell);
      return Buffer.from(cells.join(separator) + terminator);
    },
  );
  return encodedRows(mapping, encoded);
}

/** What can be read of events that fail, as rows of as much of a mapping as that takes. */
export function markRows(
  encoding: RowEncoding,
  mapping: Mapping,
  list: readonly Order[],
): EncodedRows {
  return encodeOrders(encoding, { batchId: 'again', list, mapping });
}

function encodedRows(mapping: Mapping, encoded: readonly Uint8Array[]): EncodedRows {
  return {
    mapping,
    rowCount: encoded.length,
    laterColumns: async () => [],
    without: (rows) =>
      encodedRows(
        mapping,
        encoded.filter((_, at) => !rows.has(at)),
      ),
    async *read(from, to) {
      yield* encoded.slice(from, to);
    },
  };
}

/** `[id, content, ordinal]` of every event. */
export type EventId = readonly [id: string, content: string, ordinal: number];

export function encodeIds(encoding: RowEncoding, ids: readonly EventId[]): EncodedIds {
  const { separator, terminator } = encoding;
  return {
    async *read() {
      for (const [id, content, ordinal] of ids) {
        const cells = [encoding.escape(id), encoding.escape(content), String(ordinal)];
        yield Buffer.from(cells.join(separator) + terminator);
      }
    },
  };
}

interface BatchOptions {
  readonly batchId?: string;
  readonly tables?: readonly (readonly [TableName, readonly Order[]])[];
  readonly extractSha256?: string;
  readonly attempt?: string;
  readonly write?: LoadRequest['write'];
  readonly fenceTimeoutMs?: number;
  readonly signal?: AbortSignal;
  readonly mapping?: Mapping;
  readonly laterColumns?: readonly string[];
  readonly ids?: readonly EventId[];
  readonly to?: string;
}

const defaults = {
  batchId: 'shop/lane/1..2',
  attempt: 'one',
  write: 'append' as const,
  to: '2',
  extractSha256: 'abc',
  fenceTimeoutMs: 60_000,
  signal,
  tables: [[orders, someOrders(0, 10)] as const],
  laterColumns: [] as readonly string[],
};

export function batchOf(encoding: RowEncoding, options: BatchOptions = {}): BatchToLoad {
  const { batchId, write, tables, laterColumns, ...rest } = { ...defaults, ...options };
  const mapping = (table: TableName) => rest.mapping ?? mappingOf(table);
  const parts = tables.map(([table, list]) => ({
    rows: {
      ...encodeOrders(encoding, { batchId, list, mapping: mapping(table) }),
      laterColumns: async () => laterColumns,
    },
    ordinals: Uint32Array.from(list, ({ id }) => id),
  }));
  const request: LoadRequest = {
    claim: claimOf({ ...rest, batchId }),
    tables: tables.map(([table]) => ({
      ...table,
      alone: write === 'append-absent' || isCompared(mapping(table)),
    })),
    write,
    fenceTimeoutMs: rest.fenceTimeoutMs,
    signal: rest.signal,
  };
  const eventIds = rest.ids ? encodeIds(encoding, rest.ids) : null;
  const generations = rest.mapping?.replace ? wholeRefresh(rest.to) : null;
  return { request, parts, failuresBefore: [], eventIds, generations };
}

function claimOf({
  batchId,
  to,
  attempt,
  extractSha256,
}: Pick<typeof defaults, 'batchId' | 'to' | 'attempt' | 'extractSha256'>): LoadRequest['claim'] {
  return {
    batchId,
    source: 'shop',
    lane: 'lane',
    from: '1',
    to,
    extractSha256,
    mapAttempt: `map-${attempt}`,
    loadAttempt: `load-${attempt}`,
    mappingVersions: { orders: 1 },
  };
}

function wholeRefresh(to: string): BatchToLoad['generations'] {
  return { lane: 'lane', of: () => to, whole: true };
}

function isCompared({ merge, replace }: Mapping): boolean {
  return merge !== undefined || replace === true;
}

export const callbacks: LoadCallbacks = {
  onRefused: async () => undefined,
  onResentFailures: async () => undefined,
  onProgress: () => undefined,
};

export async function begin(
  destination: Destination,
  { request, parts }: BatchToLoad,
): Promise<{ load: LoadTransaction; rows: EncodedRows }> {
  const load = await destination.beginLoad(request);
  await load.fence();
  await load.lockTables();
  expect(await load.claim()).toBeNull();
  return { load, rows: (parts[0] as BatchToLoad['parts'][number]).rows };
}

/** Rows whose last one never comes before `let` is called: a load that hangs. */
export function hangingRows(rows: EncodedRows): {
  rows: EncodedRows;
  asked: Promise<void>;
  let(): void;
} {
  const [asked, held] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const hanging: EncodedRows = {
    ...rows,
    async *read(from, to) {
      yield* rows.read(from, to - 1);
      asked.resolve();
      await held.promise;
      yield* rows.read(to - 1, to);
    },
  };
  return { rows: hanging, asked: asked.promise, let: held.resolve };
}

export async function prepared(
  fixture: DestinationFixture,
  tables: readonly TableName[] = [orders],
): Promise<Destination> {
  const destination = await fixture.open();
  await destination.prepare(signal);
  for (const table of tables) await destination.applyMapping(mappingOf(table), signal);
  return destination;
}

const sorted = (values: readonly (string | null | undefined)[]) =>
  values.toSorted((a, b) => Number(a) - Number(b));

export async function idsIn(fixture: DestinationFixture, table: TableName = orders) {
  return sorted((await fixture.rows(table)).map(({ id }) => id));
}

export const idsOf = (from: number, to: number) => someOrders(from, to).map(({ id }) => String(id));

// oxlint-disable-next-line require-yield
export async function* failingRead(): AsyncIterable<Uint8Array> {
  throw new Error('the staged rows cannot be read');
}
