import { keyColumns, metadataOf, rowColumns, type Mapping } from '../../core/mapping.ts';
import { quoteName, quoteTable } from './sql-names.ts';

export interface StagedRows {
  /** Name of the staging table, quoted. */
  readonly stage: string;
  readonly mapping: Mapping;
  /** Columns in which a merged row has no value. */
  readonly cleared: readonly string[];
}

/**
 * Moves the newest staged row of each key into the table, where it is newer than the one that is
 * there. Answers (by its row count) how many went in. Rows of equal version change nothing: the
 * same event again.
 */
export function mergeStatement({ stage, mapping, cleared }: StagedRows): string {
  const keys = keyColumns(mapping).map(({ column }) => quoteName(column));
  const versions = versionColumns(mapping).map(quoteName);
  const written = rowColumns(mapping).map(quoteName);
  const list = written.join(', ');
  const newest = versions.map((column) => `${column} DESC`);
  const set = [
    ...new Set([...written, ...metadataOf(mapping).map(({ column }) => quoteName(column))]),
  ]
    .filter((column) => !keys.includes(column))
    .map((column) => `${column} = EXCLUDED.${column}`)
    .concat(cleared.map((column) => `${quoteName(column)} = NULL`));
  return `INSERT INTO ${quoteTable(mapping.table)} AS present (${list})
    SELECT DISTINCT ON (${keys.join(', ')}) ${list} FROM ${stage}
     ORDER BY ${[...keys, ...newest].join(', ')}
    ON CONFLICT (${keys.join(', ')}) DO UPDATE SET ${set.join(', ')}
     WHERE (${versions.map((column) => `EXCLUDED.${column}`).join(', ')})
         > (${versions.map((column) => `present.${column}`).join(', ')})`;
}

/** From the weightiest on. */
export function versionColumns({ columns, merge }: Mapping): readonly string[] {
  const declared = columns.filter(({ path }) => path === merge?.version);
  return [...declared.map(({ column }) => column), '_version'];
}
