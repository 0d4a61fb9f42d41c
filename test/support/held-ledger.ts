import pg from 'pg';

/** Holds every load into a destination just before its first row, until it is let go. */
export interface HeldLedger {
  /** Loads that wait for us, or for a table that another one of them has. */
  waiting(): Promise<number>;
  letGo(): Promise<void>;
}

export async function holdLedger(url: string): Promise<HeldLedger> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined); // its server may be stopped meanwhile
  await client.connect();
  await client.query('BEGIN');
  await client.query('LOCK TABLE _millrace.ledger IN EXCLUSIVE MODE');
  return {
    async waiting() {
      const { rows } = await client.query<{ count: number }>(
        `SELECT count(DISTINCT pid)::int AS count FROM pg_locks
          WHERE (relation = '_millrace.ledger'::regclass OR locktype = 'advisory') AND NOT granted
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
      );
      return rows[0]?.count ?? 0;
    },
    letGo: () => client.end().catch(() => undefined),
  };
}
