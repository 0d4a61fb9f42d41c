import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { PipelineError } from '../../core/errors.ts';
import type { Catalog, Queryable, Transaction } from './catalog.ts';
import { recordDecision } from './decisions.ts';

/** What the catalog keeps of a token: not the token. */
export interface TokenRow {
  readonly tokenId: string;
  readonly source: string;
  readonly sha256: string;
  readonly createdAt: string;
  readonly expiresAt: string | null;
}

/** A token as it is shown, once. */
export interface IssuedToken {
  readonly tokenId: string;
  readonly token: string;
}

const columns = `token_id AS "tokenId", source, sha256, created_at AS "createdAt",
  expires_at AS "expiresAt"`;
const valid = 'revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())';

export function hashToken(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}

/** Tokens that open a door now. */
export async function listTokens(db: Queryable): Promise<readonly TokenRow[]> {
  const { rows } = await db.query<TokenRow>(
    `SELECT ${columns} FROM millrace.source_tokens WHERE ${valid} ORDER BY source, created_at`,
  );
  return rows;
}

/** Gives every source its first token; those that ever had one keep what they have. */
export async function issueFirstTokens(
  catalog: Catalog,
  { sources, author }: { readonly sources: readonly string[]; readonly author: string },
): Promise<Readonly<Record<string, string>>> {
  return catalog.transaction(async (tx) => {
    await tx.query('LOCK TABLE millrace.source_tokens IN SHARE ROW EXCLUSIVE MODE');
    const { rows } = await tx.query<{ source: string }>(
      'SELECT DISTINCT source FROM millrace.source_tokens WHERE source = ANY ($1)',
      [sources],
    );
    const known = new Set(rows.map(({ source }) => source));
    const issued: Record<string, string> = {};
    for (const source of sources) {
      if (!known.has(source)) issued[source] = (await issue(tx, source, author)).token;
    }
    return issued;
  });
}

/** A new token; those before it open the door for a while yet. */
export async function rotateToken(
  catalog: Catalog,
  input: { readonly source: string; readonly overlapMs: number; readonly author: string },
): Promise<IssuedToken> {
  const { source, overlapMs, author } = input;
  return catalog.transaction(async (tx) => {
    // One after the other: of two at once neither would end what the other issues.
    await tx.query('LOCK TABLE millrace.source_tokens IN SHARE ROW EXCLUSIVE MODE');
    await tx.query(
      `UPDATE millrace.source_tokens
          SET expires_at = least(expires_at, now() + $2 * interval '1 millisecond')
        WHERE source = $1 AND ${valid}`,
      [source, overlapMs],
    );
    return issue(tx, source, author);
  });
}

/** Answers how many tokens it ended: one, or all of the source. */
export async function revokeTokens(
  catalog: Catalog,
  input: {
    readonly source: string;
    readonly tokenId?: string | undefined;
    readonly author: string;
  },
): Promise<number> {
  const { source, tokenId, author } = input;
  return catalog.transaction(async (tx) => {
    const { rowCount } = await tx.query(
      `UPDATE millrace.source_tokens SET revoked_at = now()
        WHERE source = $1 AND ($2::text IS NULL OR token_id = $2) AND ${valid}`,
      [source, tokenId ?? null],
    );
    if (rowCount === 0 && tokenId !== undefined) {
      throw new PipelineError('not-found', `source ${source} has no valid token ${tokenId}`);
    }
    const details = { tokens: rowCount };
    await recordDecision(tx, { author, action: 'revoke-token', subject: source, details });
    return rowCount;
  });
}

async function issue(tx: Transaction, source: string, author: string): Promise<IssuedToken> {
  const [tokenId, token] = [randomUUID(), `mr_${randomBytes(32).toString('base64url')}`];
  await tx.query(
    'INSERT INTO millrace.source_tokens (token_id, source, sha256) VALUES ($1, $2, $3)',
    [tokenId, source, hashToken(token)],
  );
  const details = { tokenId };
  await recordDecision(tx, { author, action: 'issue-token', subject: source, details });
  return { tokenId, token };
}
