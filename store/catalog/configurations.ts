import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { Configuration } from '../../core/configuration.ts';
import { PipelineError } from '../../core/errors.ts';
import type { Catalog, Queryable } from './catalog.ts';
import { recordDecision } from './decisions.ts';

export interface AppliedConfiguration {
  readonly version: number;
  readonly configuration: Configuration;
  readonly configDir: string;
  readonly appliedAt: string;
}

interface Row {
  readonly version: number;
  readonly document: Buffer;
  readonly config_dir: string;
  readonly applied_at: string;
}

const nonceBytes = 12;
const tagBytes = 16;

/**
 * Stores a configuration as the newest, encrypted, and makes a row for each new destination. The
 * same configuration again changes nothing.
 */
export async function saveConfiguration(
  catalog: Catalog,
  input: {
    readonly configuration: Configuration;
    readonly configDir: string;
    readonly author: string;
    readonly secretKey: Uint8Array;
  },
): Promise<AppliedConfiguration> {
  const { configuration, configDir, author, secretKey } = input;
  return catalog.transaction(async (tx) => {
    await tx.query('LOCK TABLE millrace.configurations IN SHARE ROW EXCLUSIVE MODE');
    const newest = await readConfiguration(tx, secretKey);
    if (newest?.configDir === configDir && isDeepStrictEqual(newest.configuration, configuration)) {
      return newest;
    }
    const { rows } = await tx.query<Row>(
      `INSERT INTO millrace.configurations (document, config_dir, applied_by)
       VALUES ($1, $2, $3) RETURNING version, applied_at`,
      [encrypt(configuration, secretKey), configDir, author],
    );
    await tx.query(
      `INSERT INTO millrace.destinations (destination) SELECT unnest($1::text[])
       ON CONFLICT DO NOTHING`,
      [Object.keys(configuration.destinations)],
    );
    const { version = 0, applied_at: appliedAt = '' } = rows[0] ?? {};
    await recordDecision(tx, { author, action: 'apply', subject: `configuration ${version}` });
    return { version, configuration, configDir, appliedAt };
  });
}

/** @throws PipelineError `invalid-config` when the secret key is not the one it was stored with. */
export async function readConfiguration(
  db: Queryable,
  secretKey: Uint8Array,
): Promise<AppliedConfiguration | null> {
  const { rows } = await db.query<Row>(
    `SELECT version, document, config_dir, applied_at FROM millrace.configurations
     ORDER BY version DESC LIMIT 1`,
  );
  const row = rows[0];
  if (!row) return null;
  return {
    version: row.version,
    configuration: decrypt(row.document, secretKey),
    configDir: row.config_dir,
    appliedAt: row.applied_at,
  };
}

/** Version of the newest configuration; 0 where none is applied. */
export async function readConfigurationVersion(db: Queryable): Promise<number> {
  const { rows } = await db.query<{ version: number }>(
    'SELECT coalesce(max(version), 0) AS version FROM millrace.configurations',
  );
  return rows[0]?.version ?? 0;
}

/** nonce, tag, then AES-256-GCM of the JSON text. */
function encrypt(configuration: Configuration, key: Uint8Array): Buffer {
  const nonce = randomBytes(nonceBytes);
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  const content = Buffer.concat([
    cipher.update(JSON.stringify(configuration), 'utf8'),
    cipher.final(),
  ]);
  return Buffer.concat([nonce, cipher.getAuthTag(), content]);
}

function decrypt(document: Buffer, key: Uint8Array): Configuration {
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, document.subarray(0, nonceBytes));
    decipher.setAuthTag(document.subarray(nonceBytes, nonceBytes + tagBytes));
    const content = decipher.update(document.subarray(nonceBytes + tagBytes));
    return JSON.parse(Buffer.concat([content, decipher.final()]).toString()) as Configuration;
  } catch (cause) {
    throw new PipelineError(
      'invalid-config',
      'the stored configuration was encrypted with another key: bring back the secret.key of the home that applied it, or apply again with an empty catalog',
      { cause },
    );
  }
}
