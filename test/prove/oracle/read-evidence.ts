import pg from 'pg';
import { contentOf } from './content.ts';
import type {
  BatchRow,
  DestinationEvidence,
  Evidence,
  FailedRow,
  LedgerRow,
  LoadedRow,
  TableEvidence,
} from './evidence.ts';

/** Where the databases are and what is to be read in them. */
export interface EvidenceScope {
  readonly catalogUrl: string;
  /** By the name of the destination. */
  readonly destinations: Readonly<Record<string, string>>;
  readonly tables: readonly TableScope[];
}

export interface TableScope {
  readonly source: string;
  readonly stream: string;
  /** `schema.table`, as the ledger has it. */
  readonly table: string;
  readonly write: 'append' | 'merge';
  /** Column by which its rows are told apart. */
  readonly key: string;
  /** Destinations that are to have it; default: all. */
  readonly destinations?: readonly string[];
  /** Column that says which row of a key is the newest. */
  readonly version?: string;
}

const pageSize = 20_000;

export async function readEvidence(scope: EvidenceScope): Promise<Evidence> {
  await using catalog = await connect(scope.catalogUrl);
  const destinations: Record<string, DestinationEvidence> = {};
  for (const [name, url] of Object.entries(scope.destinations)) {
    const due = scope.tables.filter((table) => table.destinations?.includes(name) ?? true);
    destinations[name] = await readDestination(url, due);
  }
  const unplanned = await catalog.rows<{ source: string; chunks: number }>(
    `SELECT source, (last_chunk + 1 - coalesce(
              (SELECT max(head::bigint) FROM millrace.lanes l WHERE l.source = i.source), 1))::int AS chunks
       FROM millrace.intakes i`,
  );
  return {
    destinations,
    unplanned: Object.fromEntries(unplanned.map(({ source, chunks }) => [source, chunks])),
    lanes: await catalog.rows('SELECT source, lane, head FROM millrace.lanes'),
    batches: await catalog.rows<BatchRow>(
      `SELECT batch_id AS "batchId", run, source, lane, from_position AS "from",
              to_position AS "to", state, events::int
         FROM millrace.batches ORDER BY plan_order`,
    ),
    deliveries: await catalog.rows(
      'SELECT batch_id AS "batchId", destination, state FROM millrace.deliveries',
    ),
    failed: (await catalog.rows<StoredFailure>(failuresQuery)).map(({ raw, ...row }) => ({
      ...row,
      content: contentOfBytes(raw),
    })),
  };
}

type StoredFailure = Omit<FailedRow, 'content'> & { readonly raw: Buffer };

const failuresQuery = `
SELECT destination, source, stream, state, kind, raw_sha256 AS "declaredSha256",
       encode(sha256(raw), 'hex') AS sha256, raw
  FROM millrace.failed_events`;

function contentOfBytes(raw: Buffer): string | null {
  try {
    return contentOf(JSON.parse(raw.toString()) as Record<string, unknown>);
  } catch {
    return null; // for these the hash has to do
  }
}

async function readDestination(
  url: string,
  tables: readonly TableScope[],
): Promise<DestinationEvidence> {
  await using destination = await connect(url);
  const ledger = await destination.rows<LedgerRow>(
    `SELECT batch_id AS "batchId", source, rows_loaded::int AS loaded,
            rows_duplicate::int AS duplicate, rows_superseded::int AS superseded,
            rows_failed::int AS failed, rows_discarded::int AS discarded, tables
       FROM _millrace.ledger`,
  );
  const found: TableEvidence[] = [];
  for (const scope of tables) {
    const { source, stream, table, write } = scope;
    found.push({ source, stream, table, write, rows: await readTable(destination, scope) });
  }
  return { ledger, tables: found };
}

/** By the place of the rows in the table: its keys may stand there twice. */
async function readTable(
  database: Database,
  { table, key, version }: TableScope,
): Promise<LoadedRow[]> {
  const [found] = await database.rows<{ found: boolean }>(
    `SELECT to_regclass('${table}') IS NOT NULL AS found`,
  );
  if (!found?.found) return [];
  const rows: LoadedRow[] = [];
  await database.rows('BEGIN');
  await database.rows(
    `DECLARE all_rows NO SCROLL CURSOR FOR SELECT to_jsonb(t) AS row FROM ${table} t`,
  );
  for (;;) {
    const page = await database.rows<{ row: Record<string, unknown> }>(
      `FETCH ${pageSize} FROM all_rows`,
    );
    for (const { row } of page) rows.push(toLoaded(row, key, version));
    if (page.length < pageSize) break;
  }
  await database.rows('COMMIT');
  return rows;
}

function toLoaded(row: Record<string, unknown>, key: string, version?: string): LoadedRow {
  return {
    key: String(row[key]),
    eventId: String(row['_event_id']),
    batchId: String(row['_batch_id']),
    content: contentOf(row),
    ...(version !== undefined && { version: String(row[version]) }),
  };
}

interface Database extends AsyncDisposable {
  rows<T>(sql: string): Promise<T[]>;
}

async function connect(connectionString: string): Promise<Database> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  return {
    rows: async <T>(sql: string) => (await client.query(sql)).rows as T[],
    [Symbol.asyncDispose]: () => client.end(),
  };
}
