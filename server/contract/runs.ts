import { z } from 'zod';
import type { RunRow, TableRow } from '../../store/catalog/runs.ts';

/** GET /v1/runs */
export const runQuery = z.object({
  source: z.string().optional(),
  state: z.enum(['open', 'settled', 'lost']).optional(),
  limit: z.coerce.number().int().min(1).max(1000).default(50),
  /** `planOrder` of the last one of the page before. */
  before: z.coerce.number().int().optional(),
});

/** GET /v1/run; the id of a batch holds slashes and stands in the query therefore. */
export const oneRunQuery = z.object({ id: z.string().min(1) });

export type RunAnswer = RunRow;

/** POST /v1/run/discard: give up what the source of a batch has lost for good. */
export const discardBody = z.strictObject({
  id: z.string().min(1),
  why: z.string().trim().min(1).max(1000),
});

export interface DiscardAnswer {
  readonly batchId: string;
  /** False: it was discarded before. */
  readonly changed: boolean;
  /** Whose deliveries were discarded now. */
  readonly destinations: readonly string[];
  /** Null: the batch was never read. */
  readonly events: number | null;
  readonly bytes: number;
}

/** GET /v1/tables */
export type TableAnswer = TableRow;
