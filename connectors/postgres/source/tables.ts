import { PipelineError } from '../../../core/errors.ts';
import type { TableName } from '../../../core/mapping.ts';
import type { SourceColumn } from './columns.ts';
import { cursorKindOf, type CursorColumn } from './cursor.ts';
import { wrong } from './faults.ts';
import {
  isExcluded,
  keyOf,
  rulesOf,
  type PostgresSourceSettings,
  type TableRule,
  type TableSettings,
} from './settings.ts';
import { matchTable } from './table-pattern.ts';

/** Runs one statement; faults come out as PipelineErrors. */
export type Query = <Row extends Record<string, unknown>>(
  sql: string,
  values?: readonly unknown[],
) => Promise<Row[]>;

/** Runs statements in one transaction, which sees what was committed before it began. */
export type Reading = <T>(work: (query: Query) => Promise<T>) => Promise<T>;

/** A table that the settings speak of: a lane. */
export interface SourceTable extends TableName {
  readonly lane: string;
  readonly stream: string;
  readonly settings: TableSettings;
  /** Named in the settings, and not in the database. */
  readonly isMissing: boolean;
  /** Another lane has this stream. */
  readonly twin?: string;
  /** Without the rows of the tables that inherit from it. */
  readonly isOnly?: boolean;
  /** Tables that inherit from it and would not be read, while others are. */
  readonly unreadHeirs?: readonly string[];
}

interface FoundTable {
  readonly schema: string;
  readonly name: string;
  /** Tables of their own: no views, no partitions. */
  readonly whole: boolean;
  /** Lanes of the tables that inherit from it (INHERITS), directly or not. */
  readonly heirs: readonly string[];
}

/** All tables that the settings speak of, by name. */
export async function findTables(
  query: Query,
  settings: PostgresSourceSettings,
): Promise<readonly SourceTable[]> {
  const rows = await query<FoundTable & Record<string, unknown>>(
    `SELECT n.nspname AS schema, c.relname AS name,
            c.relkind IN ('r', 'p') AND NOT c.relispartition AS whole,
            CASE WHEN c.relkind = 'r' AND c.relhassubclass THEN ${heirsSql} ELSE '{}' END AS heirs
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
        AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
      ORDER BY n.nspname <> 'public', n.nspname COLLATE "C", c.relname COLLATE "C"`,
  );
  return markTwins(shareWithHeirs(chooseTables(rows, settings), rows, settings));
}

const heirsSql = `ARRAY(
  WITH RECURSIVE below AS (
    SELECT inhrelid AS id FROM pg_inherits WHERE inhparent = c.oid
     UNION
    SELECT i.inhrelid FROM pg_inherits i JOIN below ON i.inhparent = below.id)
  SELECT hn.nspname || '.' || h.relname
    FROM below JOIN pg_class h ON h.oid = below.id JOIN pg_namespace hn ON hn.oid = h.relnamespace)`;

/**
 * PostgreSQL reads a table with those that inherit from it. Where these are followed themselves,
 * their rows belong to them alone; where none is, all belong to the one that is followed.
 */
function shareWithHeirs(
  tables: readonly SourceTable[],
  found: readonly FoundTable[],
  settings: PostgresSourceSettings,
): readonly SourceTable[] {
  const followed = new Set(tables.map(({ lane }) => lane));
  const heirsOf = new Map(found.map(({ schema, name, heirs }) => [`${schema}.${name}`, heirs]));
  return tables.map((table) => {
    const heirs = heirsOf.get(table.lane) ?? [];
    if (!heirs.some((heir) => followed.has(heir))) return table;
    const unreadHeirs = heirs.filter((heir) => !followed.has(heir) && !isExcluded(settings, heir));
    return { ...table, isOnly: true, unreadHeirs };
  });
}

function chooseTables(
  found: readonly FoundTable[],
  settings: PostgresSourceSettings,
): readonly SourceTable[] {
  const rules = rulesOf(settings);
  const tables = found.flatMap(({ schema, name, whole }) => {
    const lane = `${schema}.${name}`;
    const rule = rules.find(({ pattern }) => matchTable(pattern, lane));
    return rule && (rule.pattern.isExact || whole)
      ? [toTable({ schema, name }, rule.settings)]
      : [];
  });
  const names = new Set(tables.map(({ lane }) => lane));
  const missing = rules
    .filter(({ pattern }) => pattern.isExact && !names.has(pattern.text))
    .map((rule) => toMissing(rule));
  return [...tables, ...missing].filter(({ lane }) => !isExcluded(settings, lane));
}

function toMissing({ pattern, settings }: TableRule): SourceTable {
  const [schema = '', name = ''] = pattern.text.split('.');
  return { ...toTable({ schema, name }, settings), isMissing: true };
}

function toTable({ schema, name }: TableName, settings: TableSettings): SourceTable {
  const stream = schema === 'public' ? name : `${schema}_${name}`;
  return { schema, name, lane: `${schema}.${name}`, stream, settings, isMissing: false };
}

/** Of two tables with one stream the first has it. */
function markTwins(tables: readonly SourceTable[]): readonly SourceTable[] {
  const owners = new Map<string, string>();
  return tables.map((table) => {
    const twin = owners.get(table.stream);
    if (twin !== undefined) return { ...table, twin };
    owners.set(table.stream, table.lane);
    return table;
  });
}

/** A table as it is now, with what is read of it. */
export interface TableShape {
  readonly table: SourceTable;
  readonly columns: readonly SourceColumn[];
  readonly key: readonly string[];
  readonly cursor?: CursorColumn;
}

/**
 * Looks at a table.
 * @throws PipelineError `invalid-config` where it cannot be followed as its settings say
 */
export async function describeTable(query: Query, table: SourceTable): Promise<TableShape> {
  const { lane, settings } = table;
  if (table.isMissing) throw wrong(lane, 'is not there: create it, or take it out of tables');
  if (table.twin !== undefined) {
    throw wrong(lane, `would be the same stream as ${table.twin}: exclude one of them`);
  }
  if (table.unreadHeirs?.length) {
    throw wrong(
      lane,
      `is read without the tables that inherit from it, as some of them are in tables: add ${table.unreadHeirs.slice(0, 5).join(', ')} too, or exclude them`,
    );
  }
  const all = await selectColumns(query, table);
  if (all.length === 0) throw wrong(lane, 'has no columns, or was dropped at this very moment');
  const columns = chosen(all, table);
  requireReadable(columns, lane);
  const key = keyOf(settings) ?? (await selectPrimaryKey(query, table));
  requireColumns(key, columns, { lane, setting: 'key' });
  if (settings.cursor === undefined) return { table, columns, key };
  if (key.length === 0) {
    throw wrong(lane, 'has no primary key: name the columns that tell its rows apart (key: …)');
  }
  return { table, columns, key, cursor: cursorOf(all, table, settings.cursor) };
}

function chosen(all: readonly SourceColumn[], { lane, settings }: SourceTable) {
  if (!settings.columns) return all;
  requireColumns(settings.columns, all, { lane, setting: 'columns' });
  const names = new Set(settings.columns);
  return all.filter(({ name }) => names.has(name));
}

function requireColumns(
  wanted: readonly string[],
  columns: readonly SourceColumn[],
  { lane, setting }: { lane: string; setting: string },
): void {
  const missing = wanted.filter((name) => columns.every((column) => column.name !== name));
  if (missing.length === 0) return;
  throw wrong(lane, `has no column ${missing.join(', ')} to read: correct ${setting}`);
}

function requireReadable(columns: readonly SourceColumn[], lane: string): void {
  const hidden = columns.filter(({ readable }) => !readable).map(({ name }) => name);
  if (hidden.length === 0) return;
  const all = hidden.length === columns.length;
  const what = all ? '' : ` (columns ${hidden.slice(0, 10).join(', ')})`;
  throw wrong(lane, `may not be read by this user${what}: GRANT SELECT on it, USAGE on its schema`);
}

function cursorOf(
  columns: readonly SourceColumn[],
  { lane, settings }: SourceTable,
  name: string,
): CursorColumn {
  requireColumns([name], columns, { lane, setting: 'cursor' });
  const { baseType, notNull, isArray, isRemote } =
    columns.find((column) => column.name === name) ?? {};
  if (isRemote) {
    throw wrong(
      lane,
      'is a materialised view or a foreign table, where rows appear late and would be missed: follow the tables behind it, or leave out its cursor',
    );
  }
  const kind = isArray === false ? cursorKindOf(baseType ?? '') : undefined;
  if (!kind) {
    throw wrong(
      lane,
      `cannot be followed by ${name}, which is of type ${baseType}: a cursor is an integer or a timestamp`,
    );
  }
  if (!notNull && settings.nulls === undefined) {
    throw wrong(
      lane,
      `has the cursor ${name}, which may be null: such rows would never be seen. Make it NOT NULL, or set nulls: first (README)`,
    );
  }
  return { name, kind };
}

async function selectColumns(query: Query, table: SourceTable): Promise<SourceColumn[]> {
  return query<SourceColumn & Record<string, unknown>>(
    `SELECT a.attname AS name, a.attnotnull AS "notNull",
            has_schema_privilege(c.relnamespace, 'USAGE')
              AND has_column_privilege(c.oid, a.attnum, 'SELECT') AS readable,
            t.typname AS "baseType", t.typtype::text AS "typeKind", t.oid < 16384 AS "isBuiltIn",
            c.relkind IN ('m', 'f') AS "isRemote", t.typcategory = 'A' AND t.typname LIKE '\\_%' AS "isArray"
       FROM pg_class c
       JOIN pg_namespace n ON n.oid = c.relnamespace
       JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
      CROSS JOIN LATERAL (
              WITH RECURSIVE base AS (
                SELECT * FROM pg_type WHERE oid = a.atttypid
                 UNION ALL
                SELECT inner_type.* FROM base JOIN pg_type inner_type
                    ON inner_type.oid = base.typbasetype AND base.typtype = 'd')
              SELECT * FROM base WHERE typtype <> 'd') t
      WHERE n.nspname = $1 AND c.relname = $2
      ORDER BY a.attnum`,
    [table.schema, table.name],
  );
}

async function selectPrimaryKey(query: Query, table: SourceTable): Promise<readonly string[]> {
  const rows = await query<{ name: string }>(
    `SELECT a.attname AS name
       FROM pg_index i
       JOIN pg_class c ON c.oid = i.indrelid
       JOIN pg_namespace n ON n.oid = c.relnamespace
      CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS part(attnum, place)
       JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = part.attnum
      WHERE n.nspname = $1 AND c.relname = $2 AND i.indisprimary AND part.place <= i.indnkeyatts
      ORDER BY part.place`,
    [table.schema, table.name],
  );
  return rows.map(({ name }) => name);
}

export function findTable(tables: readonly SourceTable[], lane: string): SourceTable {
  const table = tables.find((candidate) => candidate.lane === lane);
  if (table) return table;
  throw new PipelineError('invalid-config', `table ${lane} is gone, or no longer in tables`);
}
