import { z } from 'zod';

const dayMs = 24 * 3_600_000;

/** GET /v1/sources/:name/tokens: those that are valid. */
export interface TokenAnswer {
  readonly tokenId: string;
  readonly source: string;
  readonly createdAt: string;
  readonly expiresAt: string | null;
}

/** POST /v1/sources/:name/tokens */
export const rotateBody = z.strictObject({
  /** Tokens before this one stay valid for so long. */
  overlapMs: z
    .int()
    .min(0)
    .max(90 * dayMs)
    .default(dayMs),
});

export interface RotateAnswer {
  readonly source: string;
  readonly tokenId: string;
  /** Shown here and never again. */
  readonly token: string;
}

/** POST /v1/sources/:name/tokens/revoke */
export const revokeBody = z.strictObject({
  /** Absent: all of the source. */
  tokenId: z.string().optional(),
});

export interface RevokeAnswer {
  readonly source: string;
  readonly revoked: number;
}
