import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { must } from '../../core/errors.ts';
import { readState } from '../../local/instance.ts';
import { programBehind } from '../../local/processes.ts';
import { runCli, spawnCli, withoutOurs, type InstanceUrls } from '../support/instance.ts';
import { processesOf } from '../support/local-fixture.ts';
import { queryAt } from '../support/postgres-server.ts';
import { removeHome } from '../support/remove-home.ts';
import { until } from '../support/until.ts';

/** A small demo of its own, in the foreground as `npm start` runs it. */
const config = `
destinations: { warehouse: { type: postgres } }
sources:
  app: { type: http }
  shop: { type: postgres, tables: { public.cars: { cursor: updated_at }, public.stocks: { cursor: updated_at } } }
pipelines:
  app: { source: app, destinations: [warehouse] }
  shop: { source: shop, destinations: [warehouse], schedule: every 2s, write: merge }
demo: { events: app, database: shop }
`;

let folder: string;
let home: string;
let environment: NodeJS.ProcessEnv;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-feed-'));
  home = join(folder, 'home');
  environment = { ...withoutOurs(process.env), MILLRACE_HOME: home, MILLRACE_DEMO_RATE: '100' };
  await writeFile(join(folder, 'millrace.yaml'), config);
});
afterEach(() => cli('down'));
afterAll(async () => {
  await removeHome(home);
  await rm(folder, { recursive: true, force: true });
});

/** How fast all goes down is measured where nothing else runs (test/heavy/fresh-clone.test.ts). */
const downSeconds = 30;
const patienceMs = 180_000;

const cli = (...args: string[]) => runCli(args, folder, environment);
const demoLog = () => readFile(join(home, 'logs/demo.log'), 'utf8');

/** `up` in the foreground, until its ready block is complete. */
async function start(minutes: number, ...args: string[]) {
  const env = { ...environment, MILLRACE_DEMO_MINUTES: String(minutes) };
  const child = spawnCli(['up', '--ports', 'auto', ...args], folder, env);
  const ended = once(child, 'exit');
  const output = { said: '' };
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => void (output.said += chunk.toString()));
  }
  await until('the ready block', async () => output.said.includes('stops everything'), patienceMs);
  const urls = JSON.parse((await cli('status', '--json')).stdout) as InstanceUrls & {
    readonly demoDatabaseUrl: string;
  };
  const count = async () => {
    const [row] = await queryAt<{ n: number }>(
      urls.warehouseUrl,
      `SELECT (SELECT count(*) FROM app.readings)::int + (SELECT count(*) FROM app.page_views)::int
            + (SELECT count(*) FROM app.orders)::int AS n`,
    );
    return row?.n ?? 0;
  };
  return {
    urls,
    count,
    said: () => output.said,
    async grows(): Promise<void> {
      const seen = await count();
      await until('more events', async () => (await count()) > seen, patienceMs);
    },
    async pidOf(name: string): Promise<number> {
      return until(`the program of ${name}`, async () => {
        const wrapper = (await readState(home)).children?.[name];
        return wrapper && programBehind(wrapper.pid);
      });
    },
    /** Seconds until all was down. */
    async interrupt(): Promise<number> {
      const { postgresData } = await readState(home);
      const askedAt = performance.now();
      child.kill('SIGINT');
      expect(await ended).toEqual([0, null]);
      expect(processesOf(home, postgresData)).toEqual([]);
      return (performance.now() - askedAt) / 1_000;
    },
  };
}

async function expectSameRows(table: string, urls: { from: string; to: string }): Promise<void> {
  const columns = await queryAt<{ name: string }>(
    urls.from,
    `SELECT attname AS name FROM pg_attribute
      WHERE attrelid = '${table}'::regclass AND attnum > 0 ORDER BY 1`,
  );
  const list = columns.map(({ name }) => `${name}::text`).join(', ');
  const order = columns.map((_, n) => n + 1).join(', '); // by all: no few of them tell rows apart
  const theirs = await queryAt(urls.from, `SELECT ${list} FROM ${table} ORDER BY ${order}`);
  const ours = await queryAt(urls.to, `SELECT ${list} FROM shop.${table} ORDER BY ${order}`);
  expect(theirs.length).toBeGreaterThan(0);
  expect(ours).toEqual(theirs);
}

interface Fed {
  readonly posted: number;
  readonly changes: number;
}

async function sumDeliveries(catalogUrl: string) {
  const [sums] = await queryAt<Record<'all' | 'duplicate', number>>(
    catalogUrl,
    `SELECT sum(rows_loaded + rows_duplicate + rows_failed)::int AS "all",
            sum(rows_duplicate)::int AS duplicate
       FROM millrace.deliveries JOIN millrace.batches USING (batch_id) WHERE source = 'app'`,
  );
  return must(sums);
}

test('feeds its sources once, whatever is started or killed beside it, and says how to go on when it ends', async () => {
  const up = await start(0.5);
  for (const table of ['app.readings', 'shop.cars', 'shop.stocks']) {
    expect(up.said()).toMatch(new RegExp(`${table} +\\d+ `));
  }
  expect(up.said()).toContain('posts events to app and changes rows of shop');

  const second = await cli('up');
  expect(second).toMatchObject({ code: 0, stderr: expect.stringContaining('runs here already') });
  process.kill(await up.pidOf('server'), 'SIGKILL');
  const isOver = async () => up.said().includes('"npm run millrace -- demo" goes on');
  await until('its end', isOver, patienceMs);
  const log = await demoLog();
  expect(log.match(/"ready":true/g)).toHaveLength(1);
  const { posted, changes } = JSON.parse(log.trim().split('\n').at(-1) ?? '') as Fed;
  expect(Math.min(posted, changes)).toBeGreaterThan(0);

  const synced = async () => [0, 5].includes((await cli('sync')).code);
  await until('a sync by the server that was killed', synced, patienceMs);
  const { all, duplicate } = await sumDeliveries(up.urls.catalogUrl);
  // A request whose answer was lost with the server came twice.
  expect(all).toBeGreaterThanOrEqual(posted);
  expect(all - posted).toBeLessThanOrEqual(duplicate);
  const urls = { from: up.urls.demoDatabaseUrl, to: up.urls.warehouseUrl };
  for (const table of ['cars', 'stocks']) await expectSameRows(table, urls);
  expect(await up.interrupt()).toBeLessThan(downSeconds);
});

test('goes on with the next start, while the server is killed and after it was killed itself, and ends with Ctrl-C', async () => {
  const up = await start(10);
  await up.grows();
  process.kill(await up.pidOf('server'), 'SIGKILL');
  await up.grows();
  process.kill(await up.pidOf('demo'), 'SIGKILL');
  const starts = async () => (await demoLog()).match(/"ready":true/g)?.length;
  await until('its next start', async () => (await starts()) === 3, patienceMs);
  await up.grows();
  expect(await up.interrupt()).toBeLessThan(downSeconds);
});

test('leaves a file alone that is named: its database is there, nothing is fed', async () => {
  const up = await start(10, '-f', 'millrace.yaml');
  const seen = await up.count();
  const log = (await demoLog()).trim().split('\n');
  expect(log.at(-1)).toBe('{"ready":true}');
  expect((await readState(home)).children).toHaveProperty('demo');
  expect(up.said()).not.toContain('changes rows of shop for');
  expect(await cli('source', 'check', 'shop')).toMatchObject({ code: 0 });
  await cli('sync');
  expect(await up.count()).toBe(seen);
  await up.interrupt();
});
