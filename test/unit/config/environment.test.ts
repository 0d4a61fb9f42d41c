import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readEnvironment } from '../../../config/environment.ts';

describe('the environment', () => {
  let folder = '';
  let least: NodeJS.ProcessEnv = {};

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'millrace-environment-'));
    const keyFile = join(folder, 'secret.key');
    await writeFile(keyFile, 'a secret\n');
    least = {
      MILLRACE_HOME: folder,
      MILLRACE_CATALOG_URL: 'postgres://127.0.0.1/millrace',
      MILLRACE_SECRET_KEY_FILE: keyFile,
    };
  });

  afterAll(() => rm(folder, { recursive: true, force: true }));

  test('has a default for everything but the catalog and the key', () => {
    const environment = readEnvironment(least);
    expect(environment).toMatchObject({
      home: folder,
      stagingDir: join(folder, 'staging'),
      awayAfterMs: 300_000,
      patience: 1,
      maxBatchBytes: 64 * 2 ** 20,
      minFreeBytes: 2 ** 30,
      keepExtractsMs: 7 * 24 * 3600_000,
      maintainEveryMs: 60_000,
      httpHost: '127.0.0.1',
      httpPort: 8743,
      allowedHosts: [],
      adminTokenFile: join(folder, 'admin-token'),
    });
    expect(environment.warehouseBaseUrl).toBeUndefined();
    expect(environment.threads).toBeGreaterThanOrEqual(1);
    expect(environment.threads).toBeLessThanOrEqual(4);
    expect(Object.isFrozen(environment)).toBe(true);
  });

  test('hashes the key without the line end of its file', () => {
    const wanted = createHash('sha256').update('a secret').digest();
    expect(Buffer.from(readEnvironment(least).secretKey)).toEqual(wanted);
  });

  test('takes an empty variable for an absent one', () => {
    expect(readEnvironment({ ...least, MILLRACE_PATIENCE: '' }).patience).toBe(1);
  });

  test('lists the hosts that are allowed', () => {
    const { allowedHosts } = readEnvironment({ ...least, MILLRACE_ALLOWED_HOSTS: 'a.test,b.test' });
    expect(allowedHosts).toEqual(['a.test', 'b.test']);
  });

  test.each([
    ['MILLRACE_CATALOG_URL', ''],
    ['MILLRACE_PATIENCE', 'much'],
    ['MILLRACE_THREADS', '0'],
    ['MILLRACE_AWAY_AFTER_MS', '-1'],
    ['MILLRACE_HTTP_PORT', '65536'],
    ['MILLRACE_HTTP_PORT', '80.5'],
    ['MILLRACE_SECRET_KEY_FILE', '/nowhere/secret.key'],
  ])('names %s when it is %j', (name, value) => {
    expect(() => readEnvironment({ ...least, [name]: value })).toThrow(
      expect.objectContaining({ kind: 'invalid-config', message: expect.stringContaining(name) }),
    );
  });
});
