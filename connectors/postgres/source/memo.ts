import { z } from 'zod';
import { PipelineError } from '../../../core/errors.ts';
import { wrong } from './faults.ts';

const micros = z
  .string()
  .regex(/^-?\d{1,19}$/)
  .transform(BigInt);

const shape = z.strictObject({
  /** Column that positions are values of. */
  cursor: z.string(),
  /** Columns that told rows apart when the table was first followed. */
  key: z.array(z.string()).optional(),
  bound: micros.optional(),
  since: micros.optional(),
  prepared: micros.optional(),
  files: z.string().optional(),
  ahead: z.literal(true).optional(),
  restarted: z.string().optional(),
  accepted: z.string().optional(),
});

/**
 * An upper bound that is not safe yet, while a transaction is open which might still commit a row
 * below it. With neither `since` nor `prepared` it is safe, and stays so.
 */
export interface Bound {
  readonly bound: bigint;
  /** Sessions: those with a transaction that is older than this. */
  readonly since?: bigint;
  /** Prepared transactions: those that were prepared by then. */
  readonly prepared?: bigint;
}

/** How a table is followed. */
export interface Following {
  readonly cursor: string;
  readonly key: readonly string[];
}

/** What is known of the numbers that an integer cursor is made of. */
export interface NumbersNote {
  /** Files of table and sequence. */
  readonly files?: string | undefined;
  /** The sequence was seen at, or behind, the last number that was read: it is what they come from. */
  readonly ahead?: true | undefined;
  /** They began anew. This stays until a person sets the position of the lane. */
  readonly restarted?: string | undefined;
  /** A person wants the lane to go on from this position. */
  readonly accepted?: string | undefined;
}

/** What a plan leaves behind for the next one. */
export interface Noted {
  readonly bound?: Bound | undefined;
  readonly numbers?: NumbersNote | undefined;
}

export function formatMemo({ cursor, key }: Following, { bound, numbers }: Noted = {}): string {
  const texts = Object.entries(bound ?? {}).map(([name, value]) => [name, String(value)] as const);
  return JSON.stringify({ cursor, key, ...numbers, ...Object.fromEntries(texts) });
}

/** The memo of a lane whose head a person sets. */
export function renewMemo(text: string, position: string): string {
  if (text === '') return text;
  const { cursor, key } = shape.parse(JSON.parse(text));
  return JSON.stringify({ cursor, key, accepted: position });
}

/**
 * What a plan left behind.
 * @throws PipelineError `position-corrupt` where the lane was followed by another column,
 *   `invalid-config` where another key told its rows apart
 */
export function parseMemo(text: string, lane: string, now: Following): Noted {
  if (text === '') return {};
  const parsed = shape.safeParse(JSON.parse(text));
  if (!parsed.success) throw new PipelineError('position-corrupt', `lane ${lane}: damaged note`);
  const { cursor, key, bound, since, prepared, ...numbers } = parsed.data;
  if (cursor !== now.cursor) {
    throw new PipelineError(
      'position-corrupt',
      `table ${lane} was followed by ${cursor} and is now to be followed by ${now.cursor}: set the cursor back, or follow the table under another source`,
    );
  }
  if (key && !isSameKey(key, now.key)) {
    throw wrong(
      lane,
      `had the key ${key.join(', ')} when it was first followed and has ${now.key.join(', ')} now, so that rows could take one another's place: name the old one (key: …) if it still tells rows apart, or follow the table under another source`,
    );
  }
  if (bound === undefined) return { numbers };
  const waits = {
    ...(since !== undefined && { since }),
    ...(prepared !== undefined && { prepared }),
  };
  return { bound: { bound, ...waits }, numbers };
}

function isSameKey(one: readonly string[], other: readonly string[]): boolean {
  return JSON.stringify(one.toSorted()) === JSON.stringify(other.toSorted());
}
