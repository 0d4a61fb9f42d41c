import pg from 'pg';

/** Keeps everybody from writing into the audit: whoever decides something waits at its end. */
export interface HeldDecisions extends AsyncDisposable {
  isWaitedFor(): Promise<boolean>;
  letGo(): Promise<void>;
}

export async function holdDecisions(catalogUrl: string): Promise<HeldDecisions> {
  const client = new pg.Client({ connectionString: catalogUrl });
  await client.connect();
  await client.query('BEGIN');
  await client.query('LOCK TABLE millrace.decisions IN EXCLUSIVE MODE');
  let isHeld = true;
  const letGo = async () => {
    if (!isHeld) return;
    isHeld = false;
    await client.end();
  };
  return {
    letGo,
    async isWaitedFor() {
      const { rows } = await client.query(
        `SELECT FROM pg_locks WHERE relation = 'millrace.decisions'::regclass AND NOT granted`,
      );
      return rows.length > 0;
    },
    [Symbol.asyncDispose]: letGo,
  };
}
