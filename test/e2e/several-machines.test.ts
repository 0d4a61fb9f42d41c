import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startInstance, type TestInstance } from '../support/instance.ts';

/** What docs/how-to/run-on-several-machines.md says. */
const config = `
destinations: { warehouse: { type: postgres } }
sources: { plant: { type: file, path: data/*.ndjson } }
pipelines: { plant: { source: plant, destinations: [warehouse] } }
`;
const root = fileURLToPath(new URL('../../', import.meta.url));

let instance: TestInstance;

beforeAll(async () => {
  instance = await startInstance({ config });
}, 120_000);

afterAll(async () => instance[Symbol.asyncDispose](), 60_000);

test('a worker that knows only addresses, staging and key takes over from one that hangs', async () => {
  await using other = await startWorkerElsewhere();
  const first = await instance.pidOf('worker');
  process.kill(first, 'SIGSTOP');
  try {
    await instance.write('data/readings.ndjson', '{"id":1}\n{"id":2}\n');
    await instance.json(['sync']);
    const [row] = await instance.warehouse('SELECT count(*)::int AS rows FROM plant.readings');
    expect(row).toEqual({ rows: 2 });
    expect(other.output()).not.toMatch(/error/i);
  } finally {
    process.kill(first, 'SIGCONT');
  }
});

test('a server is configured through its API with the token of its home', async () => {
  const { console: url, home } = instance.urls;
  const token = (await readFile(join(home, 'admin-token'), 'utf8')).trim();
  const configuration = {
    destinations: { warehouse: { type: 'postgres' } },
    sources: { other: { type: 'file', path: 'other/*.ndjson' } },
    pipelines: { other: { source: 'other', destinations: ['warehouse'] } },
  };
  const answer = await fetch(`${url}/v1/configuration`, {
    method: 'PUT',
    headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
    body: JSON.stringify({ configuration, configDir: instance.directory }),
  });
  expect(answer.status).toBe(200);
  await instance.write('other/items.ndjson', '{"id":1}\n');
  await instance.json(['sync', 'other']);
  const [row] = await instance.warehouse('SELECT count(*)::int AS rows FROM other.items');
  expect(row).toEqual({ rows: 1 });
});

/** As on another machine: a home of its own, nothing of the first one's environment. */
async function startWorkerElsewhere() {
  const { catalogUrl, temporal, warehouseUrl, home } = instance.urls;
  const ownHome = await mkdtemp(join(tmpdir(), 'millrace-worker-'));
  const worker = spawn(process.execPath, [join(root, 'workers/main.ts')], {
    cwd: ownHome,
    stdio: 'pipe',
    env: {
      PATH: process.env.PATH,
      MILLRACE_HOME: ownHome,
      MILLRACE_PATIENCE: '0.1',
      MILLRACE_CATALOG_URL: catalogUrl,
      MILLRACE_WAREHOUSE_BASE_URL: new URL('.', warehouseUrl).href.replace(/\/$/, ''),
      TEMPORAL_ADDRESS: temporal,
      MILLRACE_STAGING: join(home, 'staging'),
      MILLRACE_SECRET_KEY_FILE: join(home, 'secret.key'),
    },
  });
  let output = '';
  const ended = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
  const ready = new Promise<void>((resolve, reject) => {
    worker.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      if (output.includes('"ready":true')) resolve();
    });
    worker.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
    worker.once('exit', () => reject(new Error(`the worker ended: ${output}`)));
  });
  await ready;
  return {
    output: () => output,
    async [Symbol.asyncDispose]() {
      worker.kill('SIGTERM');
      await ended;
      await rm(ownHome, { recursive: true, force: true });
    },
  };
}
