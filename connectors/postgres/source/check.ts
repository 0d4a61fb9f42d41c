import { isPipelineError, PipelineError } from '../../../core/errors.ts';
import { quoteTable } from '../sql-names.ts';
import { requireZone } from './bound.ts';
import { toLaneFault, wrong } from './faults.ts';
import { readHorizon } from './horizon.ts';
import { isFollowed, probe, type CursorShape } from './rows-sql.ts';
import { rulesOf, type PostgresSourceSettings } from './settings.ts';
import {
  describeTable,
  type Query,
  type Reading,
  type SourceTable,
  type TableShape,
} from './tables.ts';

interface Database {
  readonly query: Query;
  readonly reading: Reading;
}

const shownProblems = 10;

/**
 * Looks whether every table can be followed as its settings say.
 * @throws PipelineError `invalid-config` that names all that is wrong
 */
export async function checkTables(
  { query, reading }: Database,
  tables: readonly SourceTable[],
): Promise<void> {
  if (tables.length === 0) {
    throw new PipelineError(
      'invalid-config',
      'the database has none of the tables: correct tables',
    );
  }
  const problems: string[] = [];
  const collect = async <T>(work: Promise<T>): Promise<T | undefined> => {
    try {
      return await work;
    } catch (error) {
      if (!isPipelineError(error, 'invalid-config')) throw error;
      problems.push(error.message);
      return undefined;
    }
  };
  let isAnyFollowed = false;
  for (const table of tables) {
    const shape = await collect(checkTable({ query, reading }, table));
    isAnyFollowed ||= shape !== undefined && isFollowed(shape);
  }
  if (isAnyFollowed) await collect(readHorizon(query));
  if (problems.length === 0) return;
  const more = problems.length - shownProblems;
  const shown = problems.slice(0, shownProblems).join('; ');
  throw new PipelineError('invalid-config', more > 0 ? `${shown}; and ${more} more` : shown);
}

async function checkTable({ query, reading }: Database, table: SourceTable): Promise<TableShape> {
  const shape = await describeTable(query, table);
  try {
    await reading((within) => probe(within, shape));
    if (isFollowed(shape)) await checkCursor(query, shape);
    return shape;
  } catch (error) {
    throw toLaneFault(error, table.lane);
  }
}

async function checkCursor(query: Query, shape: CursorShape): Promise<void> {
  await requireZone(query, shape);
  const { table, cursor } = shape;
  if (cursor.kind !== 'integer') return;
  const [row] = await query<{ cached: boolean }>(
    `SELECT s.seqcache > 1 AS cached FROM pg_sequence s
      WHERE s.seqrelid = pg_get_serial_sequence($1, $2)::regclass`,
    [quoteTable(table), cursor.name],
  );
  if (row?.cached !== true) return;
  throw wrong(
    table.lane,
    `has the cursor ${cursor.name}, whose sequence hands out numbers in advance, so that smaller ones come later: ALTER SEQUENCE … CACHE 1`,
  );
}

/** What is not seen, however well everything is set up. */
export function notesOf(settings: PostgresSourceSettings): readonly string[] {
  const followed = rulesOf(settings).filter((rule) => rule.settings.cursor !== undefined);
  if (followed.length === 0) return [];
  const names = followed.map(({ pattern }) => pattern.text).join(', ');
  return [
    `${names}: rows that are deleted stay in the warehouse, and changes that do not move the cursor are not seen`,
  ];
}
