import { z } from 'zod';
import type { BackfillProgress, BackfillRow } from '../../store/catalog/backfills.ts';

const text = z.string().min(1).max(1_000);

/** POST /v1/backfills: read again what was read before. Without `from` and `to`: all of it. */
export const backfillBody = z.strictObject({
  pipeline: z.string(),
  /** Absent: every stream. */
  stream: text.optional(),
  /** Absent: every lane. */
  lane: text.optional(),
  /** A position of the lane, or a time where the source knows times. */
  from: text.optional(),
  to: text.optional(),
  /** Batches at once into one destination. */
  concurrency: z.int().min(1).max(16).default(2),
  /** The same name again joins the first request. Absent: a new one. */
  requestId: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, 'may hold letters, digits, ".", "_" and "-"')
    .optional(),
});

export interface BackfillAnswer {
  /** Null: all that was asked for is read as a whole by the sync that was asked for instead. */
  readonly requestId: string | null;
  readonly source: string;
  readonly stream: string | null;
  readonly batches: number;
  /** In Temporal. */
  readonly workflowId: string | null;
  /** Streams that every sync reads as a whole: a sync was asked for. */
  readonly refreshed: readonly string[];
  /** Why Temporal was not asked; `maintain` brings it in then. */
  readonly delayed: string | null;
}

/** GET /v1/backfills */
export const backfillQuery = z.object({
  source: z.string().optional(),
  limit: z.coerce.number().int().min(1).max(1000).default(20),
});

/** GET /v1/backfills/:id, and each of the list */
export type BackfillStateAnswer = BackfillRow & BackfillProgress;

/** POST /v1/backfills/:id */
export const backfillChangeBody = z.strictObject({
  paused: z.boolean().optional(),
  concurrency: z.int().min(1).max(16).optional(),
});
