import { expect } from 'vitest';
import { auditPlan } from './audit.ts';
import { queryAt } from './postgres-server.ts';

/** An auditor who knows a source's tables, the warehouse and the catalog, and none of our code. */
export interface TableAudit {
  readonly sourceUrl: string;
  readonly warehouseUrl: string;
  readonly catalogUrl: string;
  readonly source: string;
  readonly tables: readonly AuditedTable[];
}

export interface AuditedTable {
  readonly name: string;
  /** Every change is a row: then the newest of each key counts, and the ledger counts all. */
  readonly mode: 'append' | 'merge' | 'replace';
  /** What a row is in both databases, as expressions of text; the key comes first. */
  readonly columns: readonly string[];
}

/** Fails unless each row of each table is in the warehouse exactly once, and all counts agree. */
export async function auditTables(audit: TableAudit): Promise<void> {
  for (const table of audit.tables) {
    await auditRows(audit, table);
    await auditLedger(audit, table);
  }
  await auditPlan(audit);
}

async function auditRows(
  { sourceUrl, warehouseUrl, source }: TableAudit,
  { name, mode, columns }: AuditedTable,
): Promise<void> {
  const list = columns.join(', ');
  const theirs = await queryAt<{ row: string }>(
    sourceUrl,
    `SELECT ROW(${list})::text AS row FROM ${name} ORDER BY 1`,
  );
  const from = `FROM ${source}.${name}`;
  const newest = `(SELECT DISTINCT ON (${columns[0]}) * ${from} ORDER BY ${columns[0]}, _event_id DESC) r`;
  const ours = await queryAt<{ row: string }>(
    warehouseUrl,
    `SELECT ROW(${list})::text AS row FROM ${mode === 'append' ? newest : `${source}.${name}`} ORDER BY 1`,
  );
  expect(ours.length, name).toBe(theirs.length);
  expect(ours, name).toEqual(theirs);
  const [counts] = await queryAt(
    warehouseUrl,
    `SELECT count(*)::int - count(DISTINCT _event_id)::int AS doubled ${from}`,
  );
  expect(counts, name).toEqual({ doubled: 0 });
}

async function auditLedger(
  { warehouseUrl, catalogUrl, source }: TableAudit,
  { name, mode }: AuditedTable,
): Promise<void> {
  const lane = `public.${name}`;
  const ledger = await queryAt<{ batch_id: string; loaded: number; in_table: number }>(
    warehouseUrl,
    `SELECT l.batch_id, l.rows_loaded::int AS loaded, coalesce(t.rows, 0) AS in_table
       FROM _millrace.ledger l
       FULL JOIN (SELECT _batch_id, count(*)::int AS rows FROM ${source}.${name} GROUP BY 1) t
         ON t._batch_id = l.batch_id
      WHERE (l.source = $1 AND l.lane = $2) OR l.source IS NULL ORDER BY l.batch_id`,
    [source, lane],
  );
  expect(ledger.every(({ batch_id }) => batch_id !== null)).toBe(true);
  if (mode === 'append') {
    expect(ledger.filter(({ loaded, in_table }) => loaded !== in_table)).toEqual([]);
  }
  const deliveries = await queryAt(
    catalogUrl,
    `SELECT d.batch_id, d.rows_loaded::int AS loaded FROM millrace.deliveries d
       JOIN millrace.batches b USING (batch_id)
      WHERE b.source = $1 AND b.lane = $2 AND d.state = 'settled'
        AND b.events = d.rows_loaded + d.rows_duplicate + d.rows_superseded + d.rows_failed
      ORDER BY d.batch_id COLLATE "C"`,
    [source, lane],
  );
  const counted = ledger.map(({ batch_id, loaded }) => ({ batch_id, loaded }));
  expect(deliveries).toEqual(counted.toSorted((a, b) => (a.batch_id < b.batch_id ? -1 : 1)));
}
