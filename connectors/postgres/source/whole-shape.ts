import { PipelineError } from '../../../core/errors.ts';
import { shortPath } from '../../../core/field-types.ts';
import type { Mapping } from '../../../core/mapping.ts';
import { fieldsOf } from './columns.ts';
import type { TableShape } from './tables.ts';
import { whyNotWhole } from './whole-values.ts';

/**
 * Looks whether every column of a table can be copied as it is into the one that a mapping has for it.
 * @throws PipelineError `needs-staging`
 */
export function requireWhole({ table, columns }: TableShape, mapping: Mapping): void {
  const why =
    columns.map(whyNotWhole).find((reason) => reason !== null) ?? misfit(columns, mapping);
  if (why !== null) throw new PipelineError('needs-staging', `table ${table.lane}: ${why}`);
}

/** Whether no column has to be looked at value by value, as far as the table says. */
export function mayBeWhole({ columns }: TableShape): boolean {
  return columns.every((column) => whyNotWhole(column) === null);
}

function misfit(columns: TableShape['columns'], mapping: Mapping): string | null {
  const types = new Map(mapping.columns.map(({ path, type }) => [path, type]));
  const found = fieldsOf(columns).find(({ path, type }) => types.get(path) !== type);
  if (found === undefined) return null;
  const { path, type } = found;
  return `column ${shortPath(path)} is ${type}, mapped as ${types.get(path) ?? 'nothing'}`;
}
