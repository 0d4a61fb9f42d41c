import type pg from 'pg';
import type { TableName } from '../../core/mapping.ts';
import type { LedgerKey } from './ledger-key.ts';

/** Changes of tables, each row committed with its change. They are few, and stay. */
export const createSchemaChanges = `
  CREATE TABLE IF NOT EXISTS _millrace.schema_changes (
    installation text NOT NULL,
    destination text NOT NULL,
    change_id text NOT NULL,
    table_name text NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (installation, destination, change_id)
  );`;

/** One at a time changes the columns of a table; the lock goes with the transaction. */
export async function lockSchemaOf(client: pg.ClientBase, table: TableName): Promise<void> {
  const name = `${table.schema}.${table.name}`;
  await client.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 1))', [name]);
}

export async function noteChange(
  client: pg.ClientBase,
  { installation, destination }: LedgerKey,
  { changeId, table }: { readonly changeId: string; readonly table: TableName },
): Promise<void> {
  await client.query(
    `INSERT INTO _millrace.schema_changes (installation, destination, change_id, table_name)
     VALUES ($1, $2, $3, $4)`,
    [installation, destination, changeId, `${table.schema}.${table.name}`],
  );
}

export async function selectChanges(
  client: pg.ClientBase,
  { installation, destination }: LedgerKey,
  changeIds: readonly string[],
): Promise<readonly string[]> {
  const { rows } = await client.query<{ changeId: string }>(
    `SELECT change_id AS "changeId" FROM _millrace.schema_changes
      WHERE installation = $1 AND destination = $2 AND change_id = ANY ($3)`,
    [installation, destination, changeIds],
  );
  return rows.map(({ changeId }) => changeId);
}
