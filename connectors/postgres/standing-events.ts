import type pg from 'pg';
import { keyColumns, rowColumns, type Mapping } from '../../core/mapping.ts';
import { versionColumns } from './merge-rows.ts';
import { quoteName, quoteTable } from './sql-names.ts';

/** Quoted. */
export const markStage = 'pg_temp.millrace_marks';

export function markColumns(mapping: Mapping): string {
  return rowColumns(mapping).map(quoteName).join(', ');
}

/** An empty temporary table for what tells events apart: types of the table, none of its rules. */
export async function createMarkStage(client: pg.ClientBase, mapping: Mapping): Promise<void> {
  await client.query(`DROP TABLE IF EXISTS ${markStage}`);
  await client.query(
    `CREATE TEMPORARY TABLE millrace_marks ON COMMIT DROP AS
       SELECT ${markColumns(mapping)} FROM ${quoteTable(mapping.table)} WITH NO DATA`,
  );
}

/** Ids of the staged events that the table has. See `LoadTransaction.findStanding`. */
export async function selectStanding(
  client: pg.ClientBase,
  mapping: Mapping,
): Promise<readonly string[]> {
  const { rows } = await client.query<{ id: string }>(
    `SELECT DISTINCT mark._event_id AS id FROM ${markStage} AS mark
       JOIN ${quoteTable(mapping.table)} AS present ON ${sameEvent(mapping)}`,
  );
  return rows.map(({ id }) => id);
}

function sameEvent(mapping: Mapping): string {
  if (!mapping.merge) return 'present._event_id = mark._event_id';
  const keys = keyColumns(mapping).map(({ column }) => quoteName(column));
  const versions = versionColumns(mapping).map(quoteName);
  const of = (side: string, columns: readonly string[]) =>
    columns.map((column) => `${side}.${column}`).join(', ');
  return `(${of('present', keys)}) = (${of('mark', keys)})
      AND (${of('present', versions)}) >= (${of('mark', versions)})`;
}
