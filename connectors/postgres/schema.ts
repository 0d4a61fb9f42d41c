import type pg from 'pg';
import type {
  AppliedChange,
  ChangeOrder,
  SchemaChange,
  TableColumn,
} from '../../core/destination.ts';
import { PipelineError } from '../../core/errors.ts';
import { failpoint } from '../../core/failpoints.ts';
import {
  extraColumn,
  keyColumns,
  metadataOf,
  type ColumnMapping,
  type Mapping,
  type TableName,
} from '../../core/mapping.ts';
import { isWidening, toColumnType, toConversion } from './column-types.ts';
import { isInfrastructure, rejected, sqlStateOf } from './errors.ts';
import { grantStatements, type Grants } from './grants.ts';
import { foreignOwner } from './ledger.ts';
import type { LedgerKey } from './ledger-key.ts';
import { lockSchemaOf, noteChange, selectChanges } from './schema-changes.ts';
import { quoteName, quoteTable } from './sql-names.ts';

/** How long a change may wait for readers and loads to finish; then it is tried again later. */
const lockTimeout = '5s';
/** A process that stands still in the middle of a change must not keep the table locked. */
const idleTimeout = '5s';

type Column = Pick<ColumnMapping, 'column' | 'type'> & {
  readonly by?: ColumnMapping['by'];
  /** Its type in the table, where it is there. */
  readonly standing?: string | undefined;
};

/** How tables are made and whose they are. */
interface SchemaRules {
  readonly ledger: LedgerKey;
  readonly grants: Grants;
}

interface PlannedChange extends SchemaChange {
  readonly columns: readonly Column[];
}

export async function describeTable(
  client: pg.ClientBase,
  table: TableName,
): Promise<readonly TableColumn[] | null> {
  const { rows } = await client.query<TableColumn>(
    `SELECT a.attname AS column, format_type(a.atttypid, a.atttypmod) AS type
       FROM pg_attribute a
       JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p')
        AND a.attnum > 0 AND NOT a.attisdropped
      ORDER BY a.attnum`,
    [table.schema, table.name],
  );
  return rows.length === 0 ? null : rows;
}

/** Brings one table to where the mapping fits, in one transaction. See `core/destination.ts`. */
export async function applyMapping(
  client: pg.ClientBase,
  mapping: Mapping,
  { ledger, grants, order }: SchemaRules & { readonly order?: ChangeOrder | undefined },
): Promise<readonly AppliedChange[]> {
  const name = `${mapping.table.schema}.${mapping.table.name}`;
  const standing = await describeTable(client, mapping.table);
  if (standing) await refuseForeignTable(client, ledger, name);
  if (standing && planChanges(mapping, standing).length === 0) {
    if (await hasKey(client, mapping)) return [];
  }
  try {
    await begin(client, mapping.table);
    await refuseForeignTable(client, ledger, name);
    const changes = await changeTable(client, mapping, grants);
    if (order && changes.length > 0) {
      await noteChange(client, ledger, { changeId: order.changeId, table: mapping.table });
      await order.beforeCommit(changes);
    }
    await failpoint('table-changed');
    await client.query('COMMIT');
    return changes;
  } catch (error) {
    throw toSchemaError(error, name);
  }
}

/** Alone with the table's columns. On any error the connection goes, and with it the transaction. */
async function begin(client: pg.ClientBase, table: TableName): Promise<void> {
  await client.query('BEGIN ISOLATION LEVEL READ COMMITTED');
  await client.query(`SET LOCAL idle_in_transaction_session_timeout = '${idleTimeout}'`);
  await client.query(
    `SET LOCAL lock_timeout = '${lockTimeout}'; SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO'`,
  );
  await lockSchemaOf(client, table);
}

/** See `core/destination.ts`. Whoever changes the table holds its lock until COMMIT is through. */
export async function committedChanges(
  client: pg.ClientBase,
  ledger: LedgerKey,
  { table, changeIds }: { readonly table: TableName; readonly changeIds: readonly string[] },
): Promise<readonly string[]> {
  try {
    await begin(client, table);
    const found = await selectChanges(client, ledger, changeIds); // sees what was waited for
    await client.query('COMMIT');
    return found;
  } catch (error) {
    throw toSchemaError(error, `${table.schema}.${table.name}`);
  }
}

/** What `applyMapping` would do now. */
export async function previewMapping(
  client: pg.ClientBase,
  mapping: Mapping,
  grants: Grants,
): Promise<readonly string[]> {
  const standing = await describeTable(client, mapping.table);
  const changes = planChanges(mapping, standing);
  const key = (await hasKey(client, mapping)) ? [] : [toKeyStatement(mapping)];
  const granted = standing ? [] : await grantStatements(client, grants, mapping.table);
  return [...changes.flatMap(toStatements), ...granted, ...key];
}

function toKeyStatement(mapping: Mapping): string {
  const columns = keyColumns(mapping).map(({ column }) => quoteName(column));
  return `CREATE UNIQUE INDEX ON ${quoteTable(mapping.table)} (${columns.join(', ')})`;
}

async function refuseForeignTable(client: pg.ClientBase, ledger: LedgerKey, name: string) {
  const owner = await foreignOwner(client, ledger, name);
  if (owner === null) return;
  throw rejected(
    `table ${name} was loaded by another Millrace installation (${owner}): "recover --adopt" takes it over; else rename the source, or use another database`,
  );
}

async function changeTable(
  client: pg.ClientBase,
  mapping: Mapping,
  grants: Grants,
): Promise<readonly AppliedChange[]> {
  const applied: AppliedChange[] = [];
  for (const change of planChanges(mapping, await describeTable(client, mapping.table))) {
    const isNew = change.kind === 'create-table';
    const granted = isNew ? await grantStatements(client, grants, mapping.table) : [];
    for (const statement of [...toStatements(change), ...granted]) {
      await client.query(statement);
      applied.push({ change, statement });
    }
  }
  if (!(await hasKey(client, mapping))) {
    const { table } = mapping;
    const change = { table, kind: 'add-key' as const, columns: keyColumns(mapping) };
    const statement = toKeyStatement(mapping);
    await client.query(statement);
    applied.push({ change, statement });
  }
  return applied;
}

/**
 * Whether rows of one key can meet in the table, or need not: an `append` table, or one whose key
 * no event had yet.
 */
export async function hasKey(client: pg.ClientBase, mapping: Mapping): Promise<boolean> {
  const { table, merge } = mapping;
  const columns = keyColumns(mapping).map(({ column }) => column);
  if (!merge || columns.length < merge.key.length) return true;
  const { rows } = await client.query(
    `SELECT FROM pg_index i
       JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname = $1 AND c.relname = $2 AND i.indisunique AND i.indisvalid AND i.indimmediate
        AND i.indpred IS NULL AND i.indexprs IS NULL
        AND $3::text[] = ARRAY(SELECT a.attname::text FROM pg_attribute a
              WHERE a.attrelid = c.oid AND a.attnum = ANY (i.indkey::smallint[]) ORDER BY a.attname COLLATE "C")`,
    [table.schema, table.name, columns.toSorted()],
  );
  return rows.length > 0;
}

/** What a table lacks. Never a narrower type, unless a person ordered it. */
function planChanges(
  mapping: Mapping,
  standing: readonly TableColumn[] | null,
): readonly PlannedChange[] {
  const { table } = mapping;
  const wanted: Column[] = [...metadataOf(mapping), ...mapping.columns];
  if (mapping.extra) wanted.push({ column: extraColumn, type: 'json' });
  if (standing === null) return [{ table, kind: 'create-table', columns: wanted }];
  const types = new Map(standing.map(({ column, type }) => [column, type]));
  const missing = wanted.filter(({ column }) => !types.has(column));
  const wider = wanted
    .map((column) => ({ ...column, standing: types.get(column.column) }))
    .filter(needsChange);
  const changes: PlannedChange[] = [];
  if (missing.length > 0) changes.push({ table, kind: 'add-column', columns: missing });
  if (wider.length > 0) changes.push({ table, kind: 'widen-column', columns: wider });
  return changes;
}

function needsChange({ type, by, standing }: Column): boolean {
  const wanted = toColumnType(type);
  if (standing === undefined || standing === wanted) return false;
  return by === 'person' || isWidening(standing, wanted);
}

/** What metadata columns have beside their type. Versions sort by their bytes. */
const definitions: ReadonlyMap<string, string> = new Map([
  ['_loaded_at', ' DEFAULT now()'],
  ['_version', ' COLLATE "C"'],
  ['_deleted', ' NOT NULL DEFAULT false'],
]);

function toStatements({ table, kind, columns }: PlannedChange): readonly string[] {
  const name = quoteTable(table);
  const define = ({ column, type }: Column) => {
    const more = definitions.get(column) ?? '';
    return `${quoteName(column)} ${toColumnType(type)}${more}`;
  };
  if (kind === 'create-table') {
    const schema = `CREATE SCHEMA IF NOT EXISTS ${quoteName(table.schema)}`;
    return [schema, `CREATE TABLE ${name} (${columns.map(define).join(', ')})`];
  }
  const parts = columns.map((column) =>
    kind === 'add-column' ? `ADD COLUMN ${define(column)}` : alterType(column),
  );
  return [`ALTER TABLE ${name} ${parts.join(', ')}`];
}

function alterType({ column, type, standing = '' }: Column): string {
  const name = quoteName(column);
  const conversion = toConversion(name, standing, type);
  return `ALTER COLUMN ${name} TYPE ${toColumnType(type)} USING ${conversion}`;
}

function toSchemaError(error: unknown, table: string): unknown {
  if (error instanceof PipelineError) return error;
  const sqlState = sqlStateOf(error);
  if (sqlState === '55P03') {
    return new PipelineError(
      'schema-locked',
      `table ${table} is locked by another session: its columns cannot change now`,
    );
  }
  if (isInfrastructure(error) || sqlState === undefined) return error;
  const why =
    sqlState === '42501'
      ? 'the role lacks the right: grant CREATE on the database and make it owner of the table'
      : `PostgreSQL refuses it (SQLSTATE ${sqlState}): a value of the column does not fit, or another object depends on it`;
  return rejected(`the columns of ${table} cannot change: ${why}`);
}
