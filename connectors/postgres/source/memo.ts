import { z } from 'zod';
import { PipelineError } from '../../../core/errors.ts';

const micros = z
  .string()
  .regex(/^-?\d{1,19}$/)
  .transform(BigInt);

const shape = z.strictObject({
  /** Column that positions are values of. */
  cursor: z.string(),
  bound: micros.optional(),
  since: micros.optional(),
  prepared: micros.optional(),
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

export interface CursorMemo {
  readonly cursor: string;
  readonly bound?: Bound | undefined;
}

export function formatMemo({ cursor, bound }: CursorMemo): string {
  const texts = Object.entries(bound ?? {}).map(([name, value]) => [name, String(value)] as const);
  return JSON.stringify({ cursor, ...Object.fromEntries(texts) });
}

/** @throws PipelineError `position-corrupt` where the lane was followed by another column */
export function parseMemo(text: string, lane: string, cursor: string): CursorMemo {
  if (text === '') return { cursor };
  const parsed = shape.safeParse(JSON.parse(text));
  if (!parsed.success) throw new PipelineError('position-corrupt', `lane ${lane}: damaged note`);
  const { cursor: known, bound, since, prepared } = parsed.data;
  if (known !== cursor) {
    throw new PipelineError(
      'position-corrupt',
      `table ${lane} was followed by ${known} and is now to be followed by ${cursor}: set the cursor back, or follow the table under another source`,
    );
  }
  if (bound === undefined) return { cursor };
  const waits = {
    ...(since !== undefined && { since }),
    ...(prepared !== undefined && { prepared }),
  };
  return { cursor, bound: { bound, ...waits } };
}
