import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import { PipelineError } from '../core/errors.ts';

/** What a worker or server is told by its environment; `docs/reference/environment.md` lists it. */
export interface Environment {
  readonly home: string;
  readonly catalogUrl: string;
  /** 32 bytes: encrypts what the catalog stores of the configuration. */
  readonly secretKey: Uint8Array;
  /** URL of the embedded server without a database; undefined where there is none. */
  readonly warehouseBaseUrl: string | undefined;
  readonly stagingDir: string;
  /** A destination that fails for so long is away. */
  readonly awayAfterMs: number;
  /** Scales heartbeats and what follows from them; tests that kill workers set it low. */
  readonly patience: number;
  /** Worker threads for parsing and mapping. */
  readonly threads: number;
  readonly maxBatchBytes: number;
  /** Of one source in one destination: each is a table. */
  readonly maxStreams: number;
  /** Planning stops when less is free where batches are staged. */
  readonly minFreeBytes: number;
  readonly keepExtractsMs: number;
  readonly maintainEveryMs: number;
  readonly httpHost: string;
  readonly httpPort: number;
  /** Host names besides loopback under which the server may be called. */
  readonly allowedHosts: readonly string[];
  readonly adminTokenFile: string;
}

const MiB = 2 ** 20;
const dayMs = 24 * 3600_000;

/** @throws PipelineError `invalid-config`, naming the variable */
export function readEnvironment(env: NodeJS.ProcessEnv = process.env): Environment {
  const home = resolve(env['MILLRACE_HOME'] || '.millrace');
  const number = (name: string, fallback: number, least: number) =>
    readNumber(env, name, { fallback, least });
  return Object.freeze({
    home,
    catalogUrl: required(env, 'MILLRACE_CATALOG_URL'),
    secretKey: readKey(env['MILLRACE_SECRET_KEY_FILE'] || join(home, 'secret.key')),
    warehouseBaseUrl: env['MILLRACE_WAREHOUSE_BASE_URL'] || undefined,
    stagingDir: env['MILLRACE_STAGING'] || join(home, 'staging'),
    awayAfterMs: number('MILLRACE_AWAY_AFTER_MS', 300_000, 0),
    patience: number('MILLRACE_PATIENCE', 1, 0.01),
    threads: number('MILLRACE_THREADS', Math.min(4, availableParallelism()), 1),
    maxBatchBytes: number('MILLRACE_MAX_BATCH_BYTES', 64 * MiB, 1024),
    maxStreams: number('MILLRACE_MAX_STREAMS', 500, 1),
    minFreeBytes: number('MILLRACE_MIN_FREE_BYTES', 1024 * MiB, 0),
    keepExtractsMs: number('MILLRACE_KEEP_EXTRACTS_MS', 7 * dayMs, 0),
    maintainEveryMs: number('MILLRACE_MAINTAIN_EVERY_MS', 60_000, 500),
    httpHost: env['MILLRACE_HTTP_HOST'] || '127.0.0.1',
    httpPort: readPort(env),
    allowedHosts: (env['MILLRACE_ALLOWED_HOSTS'] ?? '').split(',').filter(Boolean),
    adminTokenFile: env['MILLRACE_ADMIN_TOKEN_FILE'] || join(home, 'admin-token'),
  });
}

function required(env: NodeJS.ProcessEnv, name: string): string {
  const value = env[name];
  if (value) return value;
  throw new PipelineError('invalid-config', `${name} is not set: "up" sets it, elsewhere you do`);
}

function readNumber(
  env: NodeJS.ProcessEnv,
  name: string,
  { fallback, least }: { fallback: number; least: number },
): number {
  const text = env[name];
  if (!text) return fallback;
  const value = Number(text);
  if (Number.isFinite(value) && value >= least) return value;
  throw new PipelineError('invalid-config', `${name} must be a number of at least ${least}`);
}

function readPort(env: NodeJS.ProcessEnv): number {
  const port = readNumber(env, 'MILLRACE_HTTP_PORT', { fallback: 8743, least: 0 });
  if (Number.isInteger(port) && port <= 65_535) return port;
  throw new PipelineError('invalid-config', 'MILLRACE_HTTP_PORT must be a port from 0 to 65535');
}

function readKey(file: string): Uint8Array {
  try {
    return createHash('sha256').update(readFileSync(file, 'utf8').trim()).digest();
  } catch (cause) {
    throw new PipelineError(
      'invalid-config',
      `the secret key ${file} cannot be read: bring it back, or point MILLRACE_SECRET_KEY_FILE to it`,
      { cause },
    );
  }
}
