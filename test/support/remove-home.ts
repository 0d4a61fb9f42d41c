import { rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { down } from '../../local/down.ts';
import { readState } from '../../local/instance.ts';

/**
 * Stops what runs in a home and deletes it, with the data of its Postgres: where root starts an
 * instance, that data lies outside the home (`local/postgres-place.ts`).
 */
export async function removeHome(home: string): Promise<void> {
  await down(home);
  const { postgresData } = await readState(home);
  if (postgresData?.startsWith('/var/lib/millrace/')) {
    await rm(dirname(postgresData), { recursive: true, force: true });
  }
  await rm(home, { recursive: true, force: true });
}
