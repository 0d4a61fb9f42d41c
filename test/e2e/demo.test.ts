import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readDemoTables, readReadings } from '../support/demo-files.ts';
import { sumFiles, sumWarehouse } from '../support/demo-tables.ts';
import { runCli, withoutOurs, type CliResult, type InstanceUrls } from '../support/instance.ts';
import { queryAt } from '../support/postgres-server.ts';
import { removeHome } from '../support/remove-home.ts';
import { until } from '../support/until.ts';

/** The demo as the README tells it: one instance, the tests in the order of the story. */
const root = fileURLToPath(new URL('../../', import.meta.url));
let folder: string;
let environment: NodeJS.ProcessEnv;
let first: CliResult;

const cli = (...args: string[]) => runCli(args, root, environment);

async function json<T = unknown>(...args: string[]): Promise<T> {
  const { code, stdout, stderr } = await cli(...args, '--json');
  expect({ code, stderr }).toMatchObject({ code: 0 });
  return JSON.parse(stdout) as T;
}

/** `npm run millrace -- …` exactly as a document prints it. */
function shell(command: string): Promise<CliResult> {
  return new Promise((resolve) => {
    const child = execFile(
      'sh',
      ['-c', command],
      { cwd: root, env: environment },
      (_, stdout, stderr) => resolve({ code: child.exitCode ?? 1, stdout, stderr }),
    );
  });
}

interface Group {
  readonly groupId: string;
  readonly field: string | null;
  readonly openCount: number;
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-demo-'));
  environment = {
    ...withoutOurs(process.env),
    MILLRACE_HOME: join(folder, 'home'),
    MILLRACE_DEMO_MINUTES: '1',
  };
  first = await cli('up', '--detach', '--ports', 'auto');
}, 300_000);

afterAll(async () => {
  await removeHome(environment['MILLRACE_HOME'] ?? '');
  await rm(folder, { recursive: true, force: true });
});

test('up loads every record of the demo, parks the faulty ones, and says what runs', async () => {
  expect(first).toMatchObject({ code: 0 });
  const { warehouseUrl, console: url, temporalUi } = await json<InstanceUrls>('status');
  const expected = sumFiles(readDemoTables(root));
  expect(await sumWarehouse(warehouseUrl, Object.keys(expected))).toEqual(expected);

  const { bad } = readReadings(root);
  for (const [table, { rows }] of Object.entries(expected)) {
    const failed = table === 'sensors.readings' ? bad.length : 0;
    expect(first.stdout).toMatch(new RegExp(`${table} +${rows} +${failed}\n`));
  }
  for (const table of ['app.readings', 'app.page_views', 'app.orders']) {
    expect(first.stdout).toMatch(new RegExp(`${table} +\\d+ +\\d+\n`));
  }
  expect(first.stdout).toMatch(
    /shop\.cars +\d+ +0\n.*shop\.countries +\d+ +0\n.*shop\.stocks +\d+ +0\n/s,
  );
  for (const part of [url, temporalUi, warehouseUrl, 'failed list', 'mapping set', 'sync']) {
    expect(first.stdout).toContain(part);
  }
});

test('the walk-through of the README works word for word', async () => {
  const readme = await readFile(join(root, 'README.md'), 'utf8');
  const story = readme.slice(readme.indexOf('## Look around'), readme.indexOf('## Your own data'));
  const commands = story.match(/^npm run millrace -- .*$/gm) ?? [];
  expect(commands.map((command) => command.split(' ')[4])).toEqual([
    'status',
    'runs',
    'failed',
    'failed',
    'mapping',
    'failed',
    'sync',
  ]);
  let group = '';
  for (const command of commands) {
    const result = await shell(command.replace('<group>', group));
    const waiting = command.includes(' sync'); // what is left waits still: exit code 5
    expect({ command, ...result }).toMatchObject({ code: waiting ? 5 : 0 });
    const line = result.stdout.split('\n').find((row) => /sensors.*temperature: /.test(row));
    if (command.endsWith('failed list')) group = line?.split(' ')[0] ?? 'missing';
  }
  const temperatures = readReadings(root).bad.filter(({ raw }) =>
    /"temperature":"/.test(raw.toString()),
  );
  const { warehouseUrl } = await json<InstanceUrls>('status');
  const { 'sensors.readings': table } = await sumWarehouse(warehouseUrl, ['sensors.readings']);
  expect(temperatures.length).toBeGreaterThan(0);
  expect(table?.rows).toBe(3_000 - readReadings(root).bad.length + temperatures.length);
});

test('following the ready block brings its events in', async () => {
  const steps = first.stdout.match(/npm run millrace -- .*?(?= {2,})/g) ?? [];
  const mapping = steps.find((step) => step.includes('mapping set')) ?? 'missing';
  const retry = steps.find((step) => step.includes('failed retry')) ?? 'missing';
  const id = retry.split(' ').at(-1) ?? '';
  const before = await json<{ group: Group }>('failed', 'show', id);
  expect(mapping).toContain(` ${before.group.field} `);
  for (const step of [mapping, retry]) expect(await shell(step)).toMatchObject({ code: 0 });
  const after = await json<{ group: Group }>('failed', 'show', id);
  expect(after.group.openCount).toBe(0);
  expect(before.group.openCount).toBeGreaterThan(0);
});

test('every verb that looks has an answer for people and one for programs', async () => {
  const groups = await json<Group[]>('failed', 'list');
  const runs = await json<{ batchId: string }[]>('runs', 'list');
  const looks = [
    ['status'],
    ['doctor'],
    ['version'],
    ['validate'],
    ['source', 'list'],
    ['source', 'check', 'files'],
    ['source', 'discover', 'files'],
    ['destination', 'list'],
    ['destination', 'check', 'warehouse'],
    ['mapping', 'show', 'sensors', 'readings'],
    ['failed', 'list'],
    ['failed', 'show', groups[0]?.groupId ?? ''],
    ['runs', 'list'],
    ['runs', 'show', runs[0]?.batchId ?? ''],
  ];
  for (const verb of looks) {
    const [{ code, stdout, stderr }] = await Promise.all([cli(...verb), json(...verb)]);
    expect({ verb, code, said: `${stdout}${stderr}` !== '' }).toEqual({
      verb,
      code: 0,
      said: true,
    });
  }
  expect(Object.keys(await json<object>('status'))).not.toContain('tokens');
});

test('up on the running instance says so, applies nothing and ends', async () => {
  const { pid } = await json<InstanceUrls>('status');
  const again = await cli('up');
  expect(again).toMatchObject({ code: 0 });
  expect(again.stderr).toContain(`Millrace runs here already (pid ${pid}`);
  expect(await json<InstanceUrls>('up', '--detach')).toMatchObject({ pid, tokens: {} });
});

test('every event that is posted is a row, a duplicate or a failed event, and every row of the shop is in the warehouse', async () => {
  const log = join(environment['MILLRACE_HOME'] ?? '', 'logs/demo.log');
  const end = await until('the end of what up feeds', async () =>
    (await readFile(log, 'utf8')).split('\n').find((line) => line.includes('"ended":true')),
  );
  const fed = JSON.parse(end) as { posted: number };
  const more = await json<{ posted: number; odd: number; changes: number }>(
    'demo',
    '--minutes',
    '0.1',
    '--rate',
    '300',
  );
  expect(more.posted).toBe(1_800);
  expect(Math.min(more.odd, more.changes)).toBeGreaterThan(0);
  for (const source of ['app', 'shop']) expect([0, 5]).toContain((await cli('sync', source)).code);
  const { catalogUrl, warehouseUrl, demoDatabaseUrl } = await json<
    InstanceUrls & { demoDatabaseUrl: string }
  >('status');
  const rows = await queryAt(
    catalogUrl,
    `SELECT sum(rows_loaded + rows_duplicate + rows_failed)::int AS n,
            sum(rows_duplicate)::int > 0 AS resent, sum(rows_failed)::int > 0 AS failed
       FROM millrace.deliveries JOIN millrace.batches USING (batch_id) WHERE source = 'app'`,
  );
  expect(rows).toEqual([{ n: fed.posted + more.posted, resent: true, failed: true }]);
  for (const table of ['cars', 'countries', 'stocks']) {
    const [theirs, ours] = [
      await queryAt<{ row: string }>(
        demoDatabaseUrl,
        `SELECT to_jsonb(t)::text AS row FROM ${table} t`,
      ),
      await queryAt<{ row: string }>(
        warehouseUrl,
        `SELECT (SELECT jsonb_object_agg(key, value) FROM jsonb_each(to_jsonb(t)) WHERE key !~ '^_')::text AS row
           FROM shop.${table} t`,
      ),
    ];
    expect(theirs.length, table).toBeGreaterThan(400);
    expect(new Set(ours.map(({ row }) => row)), table).toEqual(
      new Set(theirs.map(({ row }) => row)),
    );
    expect(ours.length).toBe(theirs.length);
  }
});
