import type { StreamProfile } from '../../core/mapping.ts';
import { must } from '../../core/errors.ts';
import type { StagedFile } from '../../core/staging.ts';
import type { Catalog, Queryable } from './catalog.ts';

/** Load files made while extracting, under the mapping versions of that moment. */
export interface PremappedTarget {
  readonly destination: string;
  readonly attempt: string;
  readonly versions: Record<string, number>;
  readonly loadManifest: string;
  readonly rows: number;
  readonly failures: number;
}

/** What a complete extract consists of. */
export interface Manifest {
  readonly batchId: string;
  /** 1; higher where a damaged extract was read again. */
  readonly generation: number;
  readonly attempt: string;
  readonly stagingKey: string;
  /** Empty: the records are still where they were read, and stay there (the intake). */
  readonly stagedName: string;
  readonly stagedBytes: number;
  readonly sha256: string;
  readonly events: number;
  readonly eventBytes: number;
  readonly profile: readonly StreamProfile[];
  readonly premapped: readonly PremappedTarget[];
}

const columns = `batch_id AS "batchId", generation, attempt, staging_key AS "stagingKey",
  staged_name AS "stagedName", staged_bytes AS "stagedBytes", sha256, events,
  event_bytes AS "eventBytes", profile, premapped`;

/**
 * Stores the manifest of a complete extract, unless another attempt was first; answers the one
 * that stands. That insert decides which attempt's bytes the batch consists of. Where a later
 * attempt found the range gone, the batch is not lost after all.
 */
export async function insertManifest(catalog: Catalog, manifest: Manifest): Promise<Manifest> {
  const { batchId, generation } = manifest;
  return catalog.transaction(async (tx) => {
    const { rowCount } = await tx.query(
      `INSERT INTO millrace.extracts (batch_id, generation, attempt, staging_key, staged_name,
         staged_bytes, sha256, events, event_bytes, profile, premapped)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING`,
      [
        batchId,
        generation,
        manifest.attempt,
        manifest.stagingKey,
        manifest.stagedName,
        manifest.stagedBytes,
        manifest.sha256,
        manifest.events,
        manifest.eventBytes,
        JSON.stringify(manifest.profile),
        JSON.stringify(manifest.premapped),
      ],
    );
    if (rowCount === 1) {
      await tx.query(
        `UPDATE millrace.batches b SET events = $2, bytes = $3,
                state = CASE WHEN state = 'planned' OR (state = 'lost' AND EXISTS (
                               SELECT FROM millrace.deliveries d
                                WHERE d.batch_id = b.batch_id AND d.state = 'lost'))
                             THEN 'extracted' ELSE state END
          WHERE batch_id = $1`,
        [batchId, manifest.events, manifest.eventBytes],
      );
      await tx.query(
        `UPDATE millrace.deliveries SET state = 'pending', stop_kind = NULL, stop_message = NULL
          WHERE batch_id = $1 AND state = 'lost'`,
        [batchId],
      );
      return manifest;
    }
    const { rows } = await tx.query<Manifest>(
      `SELECT ${columns} FROM millrace.extracts WHERE batch_id = $1 AND generation = $2`,
      [batchId, generation],
    );
    return must(rows[0], 'the winning manifest');
  });
}

/** The staged records that a manifest names. */
export function extractFile({ stagedName, stagedBytes, sha256 }: Manifest): StagedFile {
  return { name: stagedName, bytes: stagedBytes, sha256 };
}

/** One generation, by default the newest; null before the first complete extract. */
export async function readManifest(
  db: Queryable,
  batchId: string,
  generation?: number,
): Promise<Manifest | null> {
  const { rows } = await db.query<Manifest>(
    `SELECT ${columns} FROM millrace.extracts
      WHERE batch_id = $1 AND ($2::int IS NULL OR generation = $2)
      ORDER BY generation DESC LIMIT 1`,
    [batchId, generation ?? null],
  );
  return rows[0] ?? null;
}
