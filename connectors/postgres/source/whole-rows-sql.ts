import { toFieldPath } from '../../../core/field-types.ts';
import type { Mapping } from '../../../core/mapping.ts';
import { quoteLiteral, quoteName } from '../sql-names.ts';
import { digitsOf, positionSql } from './cursor.ts';
import { placeIn } from './era.ts';
import { fromSql, keyHash } from './rows-sql.ts';
import type { TableShape } from './tables.ts';
import { toWholeCell } from './whole-values.ts';

export interface WholeRows {
  readonly shape: TableShape;
  /** SQL: which rows. */
  readonly condition: string;
  readonly mapping: Mapping;
  readonly batchId: string;
  /** Of event ids: source and lane. */
  readonly idPrefix: string;
  /** End of the range: the version of rows without a cursor, and the era of those with one. */
  readonly to: string;
}

/**
 * Rows as the table of a mapping has them: event id, batch id, in merge tables the version, then its
 * columns. Names come out like those of `BlockBuilder`, values as the staged road maps them; a value
 * that it would not load fails the statement (`isUnfit`). `OFFSET 0` keeps what lies below it from
 * being computed for each place that names it.
 */
export function selectWholeRows(rows: WholeRows): string {
  const { shape, mapping, batchId, idPrefix, condition, to } = rows;
  const { cursor } = shape;
  const hash = keyHash(shape);
  const digits = cursor ? digitsOf(cursor.kind, `t.${quoteName(cursor.name)}`) : 'NULL::text';
  const { era } = placeIn(shape, to);
  const version = cursor
    ? `${quoteLiteral(era)} || ${positionSql(cursor.kind, 's.digits')}`
    : quoteLiteral(to);
  const name = hash === null ? `r.version || '/' || r.key` : `r.key || '/' || r.version`;
  const written = [
    `${quoteLiteral(idPrefix)} || ${name}`,
    quoteLiteral(batchId),
    ...(mapping.merge ? ['r.version'] : []),
    ...mapping.columns.map((_, at) => `r.c${at}`),
    ...(mapping.extra ? ['NULL'] : []),
  ];
  const cells = cellsOf(shape, mapping).map((cell, at) => `, ${cell} AS c${at}`);
  return `SELECT ${written.join(', ')}
  FROM (SELECT s.*, ${version} AS version
          FROM (SELECT ${hash ?? 'row_number() OVER ()'} AS key, ${digits} AS digits${cells.join('')}
                ${fromSql(shape, condition)} OFFSET 0) AS s OFFSET 0) AS r`;
}

/** In the order of the mapping; columns that the table has no longer are empty. */
function cellsOf({ columns }: TableShape, { columns: mapped, merge }: Mapping): readonly string[] {
  const byPath = new Map(columns.map((column) => [toFieldPath([column.name]), column]));
  const required = new Set([...(merge?.key ?? []), merge?.version]);
  return mapped.map(({ path, type }) => {
    const column = byPath.get(path);
    return column ? toWholeCell(column, { type, required: required.has(path) }) : 'NULL';
  });
}
