import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import pg from 'pg';
import { expect } from 'vitest';

/**
 * An auditor who knows the source files, the warehouse and the public tables, and nothing of the
 * product: it shares no code with it. Every number is counted twice, once here and once in SQL.
 */
export interface AuditScope {
  readonly files: readonly string[];
  readonly catalogUrl: string;
  readonly source: string;
  readonly destinations: Readonly<Record<string, DestinationScope>>;
}

export interface DestinationScope {
  readonly url: string;
  readonly table: string;
  /** Whether a constraint of this table refuses an order of that amount. */
  readonly refuses?: (amount: number) => boolean;
}

interface FailedOrder {
  readonly kind: string;
  readonly rawSha256: string;
}

interface Expected {
  readonly rows: readonly (readonly string[])[];
  readonly failed: readonly FailedOrder[];
}

/** A column as text, in SQL and as the file has it. */
const columns = [
  'id::text',
  'customer',
  'amount::text',
  `to_char(placed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')`,
  'paid::text',
  `coalesce(note, 'none')`,
];

/** Fails unless every order is where it must be, once, with every value as in its file. */
export async function audit(scope: AuditScope): Promise<void> {
  const lines = (await Promise.all(scope.files.map(readLines))).flat();
  await auditPlan(scope);
  for (const [name, destination] of Object.entries(scope.destinations)) {
    const expected = expectOrders(lines, destination);
    await auditTable(name, destination, expected);
    await auditLedger(scope, name, destination, expected);
    await auditFailures(scope, name, expected);
  }
}

async function readLines(file: string): Promise<Buffer[]> {
  const bytes = await readFile(file);
  const lines = [];
  for (let start = 0, end = 0; start < bytes.length; start = end + 1) {
    end = bytes.indexOf(0x0a, start);
    if (end < 0) end = bytes.length;
    if (end > start) lines.push(bytes.subarray(start, end));
  }
  return lines;
}

function expectOrders(lines: readonly Buffer[], { refuses }: DestinationScope): Expected {
  const rows: string[][] = [];
  const failed: FailedOrder[] = [];
  for (const line of lines) {
    const order = parseOrder(line.toString());
    const kind = faultOf(order, refuses);
    if (kind !== null) failed.push({ kind, rawSha256: sha256(line) });
    else rows.push(order as string[]);
  }
  rows.sort((a, b) => Number(a[0]) - Number(b[0]));
  return { rows, failed };
}

/** Values as their text in the file, an unquoted amount with all its digits. Null: no JSON. */
function parseOrder(text: string): string[] | null {
  try {
    const { id, customer, amount, placed_at, paid, note } = JSON.parse(text);
    const digits = /"amount":([0-9.]+),/.exec(text)?.[1];
    return [String(id), customer, digits ?? amount + '!', placed_at, String(paid), note ?? 'none'];
  } catch {
    return null;
  }
}

function faultOf(order: string[] | null, refuses: DestinationScope['refuses']): string | null {
  if (order === null) return 'invalid-json';
  const amount = Number(order[2]);
  if (Number.isNaN(amount)) return 'type-mismatch';
  return refuses?.(amount) ? 'destination-rejected' : null;
}

async function auditTable(name: string, { url, table }: DestinationScope, { rows }: Expected) {
  const checksums = columns.map((column) => `md5(string_agg(${column}, E'\\x1e' ORDER BY id))`);
  const [found] = await query(
    url,
    `SELECT count(*)::int AS rows, count(DISTINCT _event_id)::int AS events,
            array[${checksums.join(', ')}] AS checksums FROM ${table}`,
  );
  const expected = columns.map((_, at) =>
    createHash('md5')
      .update(rows.map((row) => row[at]).join('\x1e'))
      .digest('hex'),
  );
  const counts = { rows: rows.length, events: rows.length };
  expect({ name, ...found }).toEqual({ name, ...counts, checksums: expected });
}

/** The ledger, the table and the catalog count the same, batch by batch. */
async function auditLedger(
  { catalogUrl, source }: AuditScope,
  name: string,
  { url, table }: DestinationScope,
  { rows }: Expected,
): Promise<void> {
  const ledger = await query(
    url,
    `SELECT l.batch_id, l.rows_loaded::int AS loaded, l.rows_failed::int AS failed,
            l.tables, coalesce(t.rows, 0) AS in_table
       FROM _millrace.ledger l
       FULL JOIN (SELECT _batch_id, count(*)::int AS rows FROM ${table} GROUP BY 1) t
         ON t._batch_id = l.batch_id
      WHERE l.source = $1 OR l.source IS NULL ORDER BY l.batch_id`,
    [source],
  );
  const wrong = ledger.filter(({ loaded, in_table }) => loaded !== in_table);
  expect({ name, wrong }).toEqual({ name, wrong: [] });
  expect(ledger.reduce((sum, { loaded }) => sum + Number(loaded), 0)).toBe(rows.length);
  const deliveries = await query(
    catalogUrl,
    `SELECT d.batch_id, d.rows_loaded::int AS loaded, d.rows_failed::int AS failed, d.tables,
            d.rows_loaded::int AS in_table
       FROM millrace.deliveries d JOIN millrace.batches b USING (batch_id)
      WHERE b.source = $1 AND d.destination = $2 AND d.state = 'settled' ORDER BY d.batch_id`,
    [source, name],
  );
  expect(deliveries.toSorted(byBatch)).toEqual(ledger.toSorted(byBatch));
}

function byBatch(a: Row, b: Row): number {
  return String(a['batch_id']) < String(b['batch_id']) ? -1 : 1;
}

/** Exactly the expected events failed, with their bytes; groups count them; nothing is left over. */
async function auditFailures(
  { catalogUrl, source }: AuditScope,
  name: string,
  { failed }: Expected,
): Promise<void> {
  const found = await query(
    catalogUrl,
    `SELECT kind, encode(sha256(raw), 'hex') AS "rawSha256" FROM millrace.failed_events
      WHERE source = $1 AND destination = $2 AND state = 'open'`,
    [source, name],
  );
  const sorted = (events: readonly unknown[]) =>
    events.map((event) => JSON.stringify(event)).sort();
  expect(sorted(found)).toEqual(sorted(failed));
  const [counts] = await query(
    catalogUrl,
    `SELECT (SELECT coalesce(sum(open_count), 0)::int FROM millrace.failure_groups
              WHERE source = $1 AND destination = $2) AS in_groups,
            (SELECT coalesce(sum(restreaming_count), 0)::int FROM millrace.failure_groups
              WHERE source = $1 AND destination = $2) AS restreaming,
            (SELECT count(*)::int FROM millrace.failure_records
              WHERE source = $1 AND destination = $2 AND state = 'provisional') AS provisional`,
    [source, name],
  );
  expect(counts).toEqual({ in_groups: failed.length, restreaming: 0, provisional: 0 });
}

/** Every lane is cut without a gap from its first position to its head, and all of it settled. */
export async function auditPlan({
  catalogUrl,
  source,
}: Pick<AuditScope, 'catalogUrl' | 'source'>): Promise<void> {
  const [plan] = await query(
    catalogUrl,
    `WITH ranges AS (
       SELECT lane, from_position, to_position,
              lead(from_position) OVER (PARTITION BY lane ORDER BY plan_order) AS next_from
         FROM millrace.batches WHERE source = $1 AND run = 'live')
     SELECT count(*) FILTER (WHERE to_position <> coalesce(next_from, head))::int AS gaps
       FROM ranges JOIN millrace.lanes USING (lane) WHERE source = $1`,
    [source],
  );
  const unsettled = await query(
    catalogUrl,
    `SELECT batch_id, destination, d.state FROM millrace.deliveries d
       JOIN millrace.batches b USING (batch_id)
      WHERE source = $1 AND (d.state <> 'settled' OR b.state <> 'settled')`,
    [source],
  );
  expect({ ...plan, unsettled }).toEqual({ gaps: 0, unsettled: [] });
}

type Row = Record<string, unknown>;

async function query(url: string, sql: string, values: unknown[] = []): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(sql, values)).rows as Row[];
  } finally {
    await client.end();
  }
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
