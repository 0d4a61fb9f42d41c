import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { PipelineError } from '../../core/errors.ts';
import type { Catalog, Transaction } from './catalog.ts';

const directory = new URL('./migrations/', import.meta.url);
const lockKey = 7_446_512_001;

/**
 * Brings the catalog to the newest schema; answers the migrations it applied. Several may run it
 * at once: a lock lets one go first, the others find nothing to do.
 * @throws PipelineError `conflict` when a migration changed after it was applied.
 */
export async function migrate(catalog: Catalog): Promise<readonly string[]> {
  const names = (await readdir(directory)).filter((name) => name.endsWith('.sql')).sort();
  return catalog.transaction(async (tx) => {
    await tx.query('SELECT pg_advisory_xact_lock($1)', [lockKey]);
    await tx.query('CREATE SCHEMA IF NOT EXISTS millrace');
    await tx.query(`CREATE TABLE IF NOT EXISTS millrace.migrations (
      name text PRIMARY KEY, sha256 text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())`);
    const applied = [];
    for (const name of names) if (await applyOne(tx, name)) applied.push(name);
    return applied;
  });
}

async function applyOne(tx: Transaction, name: string): Promise<boolean> {
  const sql = await readFile(new URL(name, directory), 'utf8');
  const sha256 = createHash('sha256').update(sql).digest('hex');
  const { rows } = await tx.query<{ sha256: string }>(
    'SELECT sha256 FROM millrace.migrations WHERE name = $1',
    [name],
  );
  const found = rows[0];
  if (found && found.sha256 !== sha256) {
    throw new PipelineError(
      'conflict',
      `migration ${name} is not the one this catalog was made with: use the version of Millrace that made it`,
    );
  }
  if (found) return false;
  await tx.query(sql);
  await tx.query('INSERT INTO millrace.migrations (name, sha256) VALUES ($1, $2)', [name, sha256]);
  return true;
}
