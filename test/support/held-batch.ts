import pg from 'pg';
import { fenceName } from '../../connectors/postgres/load-transaction.ts';
import type { TestInstance } from './instance.ts';

/** Keeps one batch from being loaded into the warehouse, and no other, until it is let go. */
export interface HeldBatch extends AsyncDisposable {
  /** Whether a load of it stands before its fence. */
  isWaiting(): Promise<boolean>;
  letGo(): Promise<void>;
}

export async function holdBatch(instance: TestInstance, batchId: string): Promise<HeldBatch> {
  const [row] = await instance.catalog<{ id: string }>('SELECT id FROM millrace.installation');
  const key = { installation: row?.id ?? '', destination: 'warehouse' };
  const name = fenceName(key, batchId);
  const client = new pg.Client({ connectionString: instance.urls.destinations['warehouse'] });
  await client.connect();
  await client.query('SELECT pg_advisory_lock(hashtextextended($1, 3))', [name]);
  let isHeld = true;
  const letGo = async () => {
    if (isHeld) await client.end();
    isHeld = false;
  };
  return {
    async isWaiting() {
      const { rows } = await client.query(
        'SELECT FROM pg_stat_activity WHERE application_name = $1',
        [name],
      );
      return rows.length > 0;
    },
    letGo,
    [Symbol.asyncDispose]: letGo,
  };
}
