import { z } from 'zod';
import type { FailedEventRow, GroupRow } from '../../store/catalog/groups.ts';

/** GET /v1/failed/groups */
export const groupQuery = z.object({
  source: z.string().optional(),
  stream: z.string().optional(),
  state: z.enum(['open', 'all']).default('open'),
  limit: z.coerce.number().int().min(1).max(1000).default(100),
});

export type GroupAnswer = GroupRow;

/** GET /v1/failed/groups/:id; a unique beginning of the id will do. */
export const groupDetailQuery = z.object({
  limit: z.coerce.number().int().min(1).max(1000).default(20),
  raw: z.enum(['1']).optional(),
});

export interface GroupDetailAnswer {
  readonly group: GroupRow;
  /** What a person can do about it. */
  readonly advice: string;
  readonly events: readonly FailedEventAnswer[];
}

/** `raw`: the original bytes in base64, with `raw=1`. */
export type FailedEventAnswer = Omit<FailedEventRow, 'raw'> & { readonly raw?: string };

/** POST /v1/failed/groups/:id/retry */
export interface RetryAnswer {
  readonly groupId: string;
  /** Events that waited when the retry was asked for. */
  readonly open: number;
  /** Kept until it is through; of an earlier request where that still waits. Null: no event is open. */
  readonly restreamId: string | null;
  /** Why Temporal does not know of it yet; `maintain` starts it then. */
  readonly delayed: string | null;
}
