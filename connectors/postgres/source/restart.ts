import type { Position } from '../../../core/positions.ts';
import { quoteTable } from '../sql-names.ts';
import { cursorStart, type CursorValue } from './cursor.ts';
import { eraBehind, splitEra } from './era.ts';
import type { NumbersNote } from './memo.ts';
import type { CursorShape } from './rows-sql.ts';
import type { Query } from './tables.ts';

/** What a table takes its numbers from. */
interface Numbers {
  /** Database, and the files of table and sequence: others after TRUNCATE … RESTART IDENTITY. */
  readonly database: string;
  readonly table: string;
  readonly sequence: string | null;
  /** The last number that was handed out; null: this user may not see it. */
  readonly last: bigint | null;
}

export interface NumbersFound {
  /** To be kept with the lane. */
  readonly note: NumbersNote;
  /** What happened to the numbers, where rows with numbers that were read already may come. */
  readonly restarted?: string;
}

interface NumbersAt {
  readonly known: NumbersNote;
  /** The last number that was read, and its position. */
  readonly head: CursorValue;
  readonly position: Position;
  /** Looks for the largest number in the table. */
  readonly largest: () => Promise<bigint | null>;
}

/**
 * Whether the numbers of a table go on behind the last one that was read. The largest number in it
 * says little: the newest rows may have been deleted.
 */
export async function findRestart(
  query: Query,
  shape: CursorShape,
  { known, head, position, largest }: NumbersAt,
): Promise<NumbersFound> {
  if (known.restarted !== undefined) return { note: known, restarted: known.restarted };
  const numbers = await readNumbers(query, shape);
  const files = [numbers.database, numbers.table, numbers.sequence ?? ''].join('.');
  if (typeof head !== 'bigint') return { note: { files } }; // no number was read yet
  const found = judgeNumbers(known, { files, numbers, head });
  if (known.accepted === position) {
    // Smaller numbers are what the person knew of; numbers that begin anew since then are not.
    return { ...found, note: { ...found.note, accepted: position } };
  }
  if (found.restarted !== undefined || (found.note.ahead && numbers.last !== null)) return found;
  // Without a sequence to go by it is the rows that tell. It goes on with the next larger number.
  const newest = await largest();
  return newest !== null && newest < head ? { ...found, restarted: smallerNumbers } : found;
}

/** By what is known of table and sequence. */
function judgeNumbers(
  known: NumbersNote,
  { files, numbers, head }: { files: string; numbers: Numbers; head: bigint },
): NumbersFound {
  const isAhead = numbers.last !== null && numbers.last >= head;
  const note = { files, ...((known.ahead || isAhead) && { ahead: true as const }) };
  const why = whyRestarted(known, numbers, isAhead);
  return why === null ? { note } : { note: { ...note, restarted: why }, restarted: why };
}

const madeAnew =
  'was emptied and numbers its rows anew (TRUNCATE … RESTART IDENTITY), or was made anew';
const setBack = 'numbers its rows anew: its sequence was set back';
const smallerNumbers =
  'holds smaller numbers only than those that were read: either its newest rows were deleted, or its numbers began anew (GRANT SELECT on the sequence of the column, where it has one, tells both apart)';

/** Both at once: a rewrite of the table leaves its sequence alone, a change of that leaves the table. */
function areOtherFiles({ files }: NumbersNote, { database, table, sequence }: Numbers): boolean {
  const [knownDatabase, knownTable, knownSequence = ''] = files?.split('.') ?? [];
  if (knownDatabase !== database || knownSequence === '' || sequence === null) return false;
  return knownTable !== table && knownSequence !== sequence;
}

function whyRestarted(known: NumbersNote, numbers: Numbers, isAhead: boolean): string | null {
  if (areOtherFiles(known, numbers)) return madeAnew;
  return known.ahead && numbers.last !== null && !isAhead ? setBack : null;
}

/** What to do about it. */
export function explainRestart(
  { source, shape, head }: { source: string; shape: CursorShape; head: string },
  why: string,
): string {
  const { lane } = shape.table;
  const { era } = splitEra(head);
  const set = `state set ${source} ${lane}`;
  return `table ${lane} ${why}; rows with numbers up to ${head} would be passed over. "${set} ${eraBehind(era)}${cursorStart}" reads all of it again as newer rows, "${set} ${head}" goes on behind the last number`;
}

/** The sequence is the one of an identity column, or of a default. */
async function readNumbers(query: Query, { table, cursor }: CursorShape): Promise<Numbers> {
  const [row] = await query<
    Record<'database' | 'table', string> & Record<'sequence' | 'last', string | null>
  >(
    `SELECT d.oid::text AS database, c.oid || '-' || c.relfilenode AS "table",
            s.oid || '-' || s.relfilenode AS sequence,
            CASE WHEN q.seqrelid IS NOT NULL AND has_sequence_privilege(s.oid, 'SELECT, USAGE')
                 THEN coalesce(v.last_value, q.seqstart - q.seqincrement)::text END AS last
       FROM pg_class c
       JOIN pg_database d ON d.datname = current_database()
       JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = $2 AND NOT a.attisdropped
       LEFT JOIN LATERAL (
              SELECT own.objid AS oid FROM pg_depend own
               WHERE own.classid = 'pg_class'::regclass AND own.refclassid = 'pg_class'::regclass
                 AND own.refobjid = c.oid AND own.refobjsubid = a.attnum AND own.deptype = 'i'
               UNION ALL
              SELECT used.refobjid FROM pg_attrdef f JOIN pg_depend used ON used.objid = f.oid
               WHERE f.adrelid = c.oid AND f.adnum = a.attnum
                 AND used.classid = 'pg_attrdef'::regclass AND used.refclassid = 'pg_class'::regclass
                 AND used.refobjid <> c.oid
               LIMIT 1) o ON true
       LEFT JOIN pg_class s ON s.oid = o.oid AND s.relkind = 'S'
       LEFT JOIN pg_sequence q ON q.seqrelid = s.oid AND q.seqincrement > 0
       LEFT JOIN pg_namespace n ON n.oid = s.relnamespace
       LEFT JOIN pg_sequences v ON v.schemaname = n.nspname AND v.sequencename = s.relname
      WHERE c.oid = $1::regclass`,
    [quoteTable(table), cursor.name],
  );
  const last = row?.last ?? null;
  return {
    database: row?.database ?? '',
    table: row?.table ?? '',
    sequence: row?.sequence ?? null,
    last: last === null ? null : BigInt(last),
  };
}
