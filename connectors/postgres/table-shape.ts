import type pg from 'pg';
import { PipelineError } from '../../core/errors.ts';
import {
  extraColumn,
  metadataOf,
  rowColumns,
  type ColumnMapping,
  type Mapping,
  type TableName,
} from '../../core/mapping.ts';
import { takesAnyForm, takesUnchanged, toColumnType } from './column-types.ts';
import { quoteTable } from './sql-names.ts';

interface StandingColumn {
  readonly schema: string;
  readonly table: string;
  readonly column: string;
  /** Of a domain the type below it; `enum` for every enum. */
  readonly type: string;
}

/**
 * Locks tables against any change of their columns until the transaction ends, and compares them
 * with what was mapped. The lock that a COPY takes itself comes too late for that.
 * @throws PipelineError `pin-outdated`
 */
export async function holdTables(
  client: pg.ClientBase,
  mappings: readonly Mapping[],
): Promise<void> {
  if (mappings.length === 0) return;
  const names = mappings.map(({ table }) => quoteTable(table)).toSorted();
  await client.query(`LOCK TABLE ${names.join(', ')} IN ROW EXCLUSIVE MODE`);
  const columns = await readColumns(
    client,
    mappings.map(({ table }) => table),
  );
  for (const mapping of mappings) assertFits(mapping, ownTypes(mapping, columns));
}

/**
 * What keeps rows that no one looks at out of a table: a column that takes them in another form
 * than the one in which values are written there otherwise. Null: nothing.
 */
export async function findConverted(
  client: pg.ClientBase,
  mapping: Mapping,
): Promise<string | null> {
  const standing = ownTypes(mapping, await readColumns(client, [mapping.table]));
  const found = writtenColumns(mapping).find(
    ({ column, type }) => !takesAnyForm(type, standing.get(column) ?? ''),
  );
  if (found === undefined) return null;
  const { schema, name } = mapping.table;
  return `column ${found.column} of ${schema}.${name} is ${standing.get(found.column)}: it keeps ${found.type} as text`;
}

function ownTypes(
  { table: { schema, name } }: Mapping,
  columns: readonly StandingColumn[],
): ReadonlyMap<string, string> {
  const own = columns.filter((column) => column.schema === schema && column.table === name);
  return new Map(own.map(({ column, type }) => [column, type]));
}

async function readColumns(
  client: pg.ClientBase,
  tables: readonly TableName[],
): Promise<readonly StandingColumn[]> {
  const { rows } = await client.query<StandingColumn>(
    `SELECT n.nspname AS schema, c.relname AS table, a.attname AS column,
            CASE WHEN coalesce(b.typtype, t.typtype) = 'e' THEN 'enum'
                 WHEN t.typtype = 'd' THEN format_type(t.typbasetype, t.typtypmod)
                 ELSE format_type(a.atttypid, a.atttypmod) END AS type
       FROM unnest($1::text[], $2::text[]) AS wanted (schema, name)
       JOIN pg_namespace n ON n.nspname = wanted.schema
       JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = wanted.name
       JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
       JOIN pg_type t ON t.oid = a.atttypid
       LEFT JOIN pg_type b ON b.oid = t.typbasetype`,
    [tables.map(({ schema }) => schema), tables.map(({ name }) => name)],
  );
  return rows;
}

function assertFits(mapping: Mapping, standing: ReadonlyMap<string, string>): void {
  const { schema, name } = mapping.table;
  for (const { column, type } of writtenColumns(mapping)) {
    const found = standing.get(column);
    if (found !== undefined && takesUnchanged(type, found)) continue;
    const what = found === undefined ? 'is not there' : `is ${found}`;
    throw new PipelineError(
      'pin-outdated',
      `column ${column} of ${schema}.${name} ${what}, its rows were mapped as ${type}: make the column ${toColumnType(type)} (ALTER TABLE), or set the mapping to a type that it holds as it is (mapping set), then sync`,
    );
  }
}

function writtenColumns(mapping: Mapping): readonly Pick<ColumnMapping, 'column' | 'type'>[] {
  const written = new Set(rowColumns(mapping));
  const all = [
    ...metadataOf(mapping),
    ...mapping.columns,
    { column: extraColumn, type: 'json' as const },
  ];
  return all.filter(({ column }) => written.has(column));
}
