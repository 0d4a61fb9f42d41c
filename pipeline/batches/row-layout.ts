import { createHash } from 'node:crypto';
import type { Mapping } from '../../core/mapping.ts';

/**
 * Hash of all that decides how rows are encoded, and for which table. A version number says less:
 * after a restored backup of the catalog the same one can be given to another mapping.
 */
export function hashLayout({ table, columns, extra, merge, replace }: Mapping): string {
  const layout = [
    [table.schema, table.name],
    columns.map(({ path, column, type }) => [path, column, type]),
    extra,
    merge ? [merge.key, merge.version ?? null] : null,
    replace ?? false,
  ];
  return createHash('sha256').update(JSON.stringify(layout)).digest('hex');
}
