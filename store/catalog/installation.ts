import { PipelineError } from '../../core/errors.ts';
import type { Queryable } from './catalog.ts';

/**
 * Id of this installation, born with the catalog.
 * @throws PipelineError `catalog-unavailable` while the catalog has no tables yet.
 */
export async function readInstallation(db: Queryable): Promise<string> {
  try {
    const { rows } = await db.query<{ id: string }>('SELECT id FROM millrace.installation');
    if (rows[0]) return rows[0].id;
  } catch (error) {
    const undefinedTable = ['42P01', '3F000'].includes((error as { code?: string }).code ?? '');
    if (!undefinedTable) throw error;
  }
  throw new PipelineError(
    'catalog-unavailable',
    'the catalog has no tables yet: the server makes them at start',
  );
}
