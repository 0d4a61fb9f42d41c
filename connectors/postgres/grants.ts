import type pg from 'pg';
import { PipelineError } from '../../core/errors.ts';
import type { TableName } from '../../core/mapping.ts';
import { rejected } from './errors.ts';
import { quoteName, quoteTable } from './sql-names.ts';

/** Rights that others get to tables when they are made. */
export interface Grants {
  /** Roles that may read. */
  readonly select: readonly string[];
}

export const noGrants: Grants = { select: [] };

/** Every role. PostgreSQL knows it as a word, not as a role. */
const everyone = 'public';

/**
 * What gives the roles their rights to a new table; its schema they must be able to look into.
 * @throws PipelineError `schema-rejected`, naming roles that are not there
 */
export async function grantStatements(
  client: pg.ClientBase,
  { select }: Grants,
  table: TableName,
): Promise<readonly string[]> {
  if (select.length === 0) return [];
  await requireRoles(client, select, table);
  const roles = select.map((role) => (role === everyone ? 'PUBLIC' : quoteName(role))).join(', ');
  return [
    `GRANT USAGE ON SCHEMA ${quoteName(table.schema)} TO ${roles}`,
    `GRANT SELECT ON TABLE ${quoteTable(table)} TO ${roles}`,
  ];
}

async function requireRoles(
  client: pg.ClientBase,
  roles: readonly string[],
  { schema, name }: TableName,
): Promise<void> {
  const { rows } = await client.query<{ role: string }>(selectMissing, [roles, everyone]);
  if (rows.length === 0) return;
  throw rejected(`table ${schema}.${name} cannot be made: ${explainMissing(rows)}`);
}

/**
 * Before there is any table to make.
 * @throws PipelineError `invalid-config`, naming roles that are not there
 */
export async function checkRoles(query: Query, { select }: Grants): Promise<void> {
  if (select.length === 0) return;
  const rows = await query<{ role: string }>(selectMissing, [select, everyone]);
  if (rows.length > 0) {
    throw new PipelineError('invalid-config', `no table can be made: ${explainMissing(rows)}`);
  }
}

type Query = <Row extends object>(sql: string, values: unknown[]) => Promise<readonly Row[]>;

const selectMissing = `SELECT role FROM unnest($1::text[]) AS role
  WHERE role <> $2 AND NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role)`;

function explainMissing(rows: readonly { readonly role: string }[]): string {
  const missing = rows.map(({ role }) => quoteName(role)).join(', ');
  return `its grants name a role that is not there: CREATE ROLE ${missing}, or take it out of grants under destinations in millrace.yaml and apply`;
}
