import type { Queryable } from './catalog.ts';

/** Writes one line of the audit: who did what to what. No values. */
export async function recordDecision(
  db: Queryable,
  decision: {
    readonly author: string;
    readonly action: string;
    readonly subject: string;
    readonly details?: Readonly<Record<string, string | number>>;
  },
): Promise<void> {
  const { author, action, subject, details = {} } = decision;
  await db.query(
    'INSERT INTO millrace.decisions (author, action, subject, details) VALUES ($1, $2, $3, $4)',
    [author, action, subject, JSON.stringify(details)],
  );
}
