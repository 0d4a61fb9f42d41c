import { PipelineError } from '../../core/errors.ts';
import type { Mapping } from '../../core/mapping.ts';
import type { Queryable, Transaction } from './catalog.ts';

export interface MappingKey {
  readonly source: string;
  readonly stream: string;
  readonly destination: string;
}

/** The newest version, or null where the stream has no columns yet. */
export async function currentMapping(db: Queryable, key: MappingKey): Promise<Mapping | null> {
  const { rows } = await db.query<{ document: Mapping }>(
    `SELECT document FROM millrace.mappings WHERE source = $1 AND stream = $2 AND destination = $3
      ORDER BY version DESC LIMIT 1`,
    [key.source, key.stream, key.destination],
  );
  return rows[0]?.document ?? null;
}

/** The newest version of every stream of a source in one destination. */
export async function currentMappings(
  db: Queryable,
  { source, destination }: Omit<MappingKey, 'stream'>,
): Promise<readonly Mapping[]> {
  const { rows } = await db.query<{ document: Mapping }>(
    `SELECT DISTINCT ON (stream) document FROM millrace.mappings
      WHERE source = $1 AND destination = $2 ORDER BY stream, version DESC`,
    [source, destination],
  );
  return rows.map(({ document }) => document);
}

/** @throws PipelineError `not-found` */
export async function readMapping(
  db: Queryable,
  key: MappingKey & { readonly version: number },
): Promise<Mapping> {
  const { rows } = await db.query<{ document: Mapping }>(
    `SELECT document FROM millrace.mappings
      WHERE source = $1 AND stream = $2 AND destination = $3 AND version = $4`,
    [key.source, key.stream, key.destination, key.version],
  );
  if (rows[0]) return rows[0].document;
  const name = `${key.source}.${key.stream} → ${key.destination} version ${key.version}`;
  throw new PipelineError('not-found', `there is no mapping ${name}: mapping show lists them`);
}

/** Adds a version. False: somebody else added that version first; read again and decide anew. */
export async function insertMapping(
  db: Queryable,
  mapping: Mapping,
  { author, reason }: { readonly author: string; readonly reason: string },
): Promise<boolean> {
  const { rowCount } = await db.query(
    `INSERT INTO millrace.mappings (source, stream, destination, version, document, author, reason)
     VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING`,
    [
      mapping.source,
      mapping.stream,
      mapping.destination,
      mapping.version,
      JSON.stringify(mapping),
      author,
      reason,
    ],
  );
  return rowCount === 1;
}

export interface MappingVersion {
  readonly version: number;
  readonly author: string;
  readonly reason: string;
  readonly createdAt: string;
}

export async function mappingHistory(
  db: Queryable,
  key: MappingKey,
): Promise<readonly MappingVersion[]> {
  const { rows } = await db.query<MappingVersion>(
    `SELECT version, author, reason, created_at AS "createdAt" FROM millrace.mappings
      WHERE source = $1 AND stream = $2 AND destination = $3 ORDER BY version DESC`,
    [key.source, key.stream, key.destination],
  );
  return rows;
}

/** Newest mappings of a source (and stream, and destination, where given). */
export async function findMappings(
  db: Queryable,
  filter: { readonly source?: string; readonly stream?: string; readonly destination?: string },
): Promise<readonly Mapping[]> {
  const { rows } = await db.query<{ document: Mapping }>(
    `SELECT DISTINCT ON (source, stream, destination) document FROM millrace.mappings
      WHERE ($1::text IS NULL OR source = $1) AND ($2::text IS NULL OR stream = $2)
        AND ($3::text IS NULL OR destination = $3)
      ORDER BY source, stream, destination, version DESC`,
    [filter.source ?? null, filter.stream ?? null, filter.destination ?? null],
  );
  return rows.map(({ document }) => document);
}

/** Two that bring new streams or types at once must not choose one table name, or one version. */
export async function lockMappings(
  tx: Transaction,
  { source, destination }: Omit<MappingKey, 'stream'>,
): Promise<void> {
  await tx.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 8))', [
    `${source}/${destination}`,
  ]);
}
