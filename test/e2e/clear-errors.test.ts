import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  runCli,
  startInstance,
  withoutOurs,
  type CliResult,
  type TestInstance,
} from '../support/instance.ts';

/** Every fault that a person can mend: one message that says what to do, the right exit code. */
let folder: string;
let instance: TestInstance;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-errors-'));
  instance = await startInstance();
});

afterAll(async () => {
  await instance[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

const homeOf = (name: string) => join(folder, `home-${name}`);

/** Runs a verb for a home of its own, in the folder of these tests. */
function cli(home: string, args: readonly string[], environment: NodeJS.ProcessEnv = {}) {
  const around = { ...withoutOurs(process.env), MILLRACE_HOME: homeOf(home), ...environment };
  return runCli(args, folder, around);
}

/** One clear message for people, the same as JSON for programs; never a stack trace. */
function expectClear(
  { code, stdout, stderr }: CliResult,
  wanted: { readonly code: number; readonly kind: string; readonly says: readonly RegExp[] },
): void {
  expect({ code, stderr }).toMatchObject({ code: wanted.code });
  for (const words of wanted.says) expect(stderr).toMatch(words);
  expect(stderr).not.toMatch(/^\s+at |node:internal|\bError:/m);
  const { error } = JSON.parse(stdout);
  expect(error).toMatchObject({ kind: wanted.kind, exitCode: wanted.code });
  for (const words of wanted.says) expect(error.message).toMatch(words);
}

describe('a wrong configuration ends with 3, and nothing is started', () => {
  const good = `destinations:
  warehouse: { type: postgres }
sources:
  files: { type: file, path: 'data/*' }
pipelines:
  files: { source: files, destinations: [warehouse] }
`;

  test.each<[what: string, text: string | null, says: RegExp]>([
    [
      'an unknown key',
      good.replace('path:', 'pth:'),
      /wrong\.yaml:4:24: sources\.files: unknown setting pth: did you mean path\?/,
    ],
    ['no such file', null, /wrong\.yaml cannot be read: write one with "npm run millrace -- init"/],
    ['bad YAML', `${good}  [`, /wrong\.yaml:\d+:\d+: /],
    [
      'a variable that is not set',
      good.replace('{ type: postgres }', "{ type: postgres, url: '${NOWHERE_URL}' }"),
      /wrong\.yaml:2:32: .*the environment has no NOWHERE_URL: set it, or write/,
    ],
    [
      'a destination that is not there',
      good.replace('[warehouse]', '[warehose]'),
      /wrong\.yaml:6:\d+: .*warehose.*warehouse/,
    ],
  ])('%s', async (_, text, says) => {
    const file = join(folder, 'wrong.yaml');
    await rm(file, { force: true });
    if (text !== null) await writeFile(file, text);
    const verbs = [['validate'], ['up', '--detach', '--ports', 'auto']];
    const results = verbs.map((verb) => cli('config', [...verb, '-f', 'wrong.yaml', '--json']));
    for (const result of await Promise.all(results)) {
      expectClear(result, { code: 3, kind: 'invalid-config', says: [says] });
    }
    expect(await readdir(folder)).not.toContain('home-config');
  });

  test('a setting in the environment that is no number', async () => {
    const up = ['up', '--detach', '--ports', 'auto', '--no-demo', '--json'];
    const result = await cli('environment', up, {
      DATABASE_URL: instance.urls.catalogUrl,
      TEMPORAL_ADDRESS: instance.urls.temporal,
      MILLRACE_MAX_BATCH_BYTES: 'many',
    });
    const says = [/MILLRACE_MAX_BATCH_BYTES must be a number of at least 1024/];
    expectClear(result, { code: 3, kind: 'invalid-config', says });
  });
});

test('words that the CLI does not know end with 2', async () => {
  for (const args of [['snyc'], ['up', '--prots', 'auto'], ['sync', '--timeout', 'soon']]) {
    const { code, stdout, stderr } = await cli('usage', [...args, '--json']);
    expect({ args, code }).toEqual({ args, code: 2 });
    expect(stderr).not.toMatch(/^\s+at /m);
    expect(JSON.parse(stdout).error).toMatchObject({ kind: 'usage', exitCode: 2 });
  }
});

test('a verb without an instance says how to start one and ends with 4', async () => {
  const says = [/no Millrace runs in .*home-none: start it with npm start/];
  expectClear(await cli('none', ['sync', '--json']), { code: 4, kind: 'cannot-connect', says });
});

describe('a wrong password', () => {
  const wrong = (url: string) => url.replace(/:[^:@]+@/, ':wrong-secret@');

  test('of the catalog: up ends with 4, says which setting, and shows no password', async () => {
    const up = ['up', '--detach', '--ports', 'auto', '--no-demo', '--json'];
    const result = await cli('password', up, {
      DATABASE_URL: wrong(instance.urls.catalogUrl),
      TEMPORAL_ADDRESS: instance.urls.temporal,
    });
    const says = [/DATABASE_URL \(postgres:\/\/127.*millrace\).*password authentication failed/];
    expectClear(result, { code: 4, kind: 'catalog-unavailable', says });
    expect(result.stderr + result.stdout).not.toContain('wrong-secret');
  });

  test('of a destination: sync ends with 4 and says what to correct; corrected, all loads', async () => {
    const { warehouseUrl } = instance.urls;
    const config = (url: string) => `destinations: { far: { type: postgres, url: '${url}' } }
sources: { files: { type: file, path: 'data/*.ndjson', settleSeconds: 0 } }
pipelines: { files: { source: files, destinations: [far] } }
`;
    await instance.write('data/orders.ndjson', '{"id":1}\n{"id":2}\n{"id":3}\n');
    await instance.write('millrace.yaml', config(wrong(warehouseUrl)));
    expect(await instance.cli('apply')).toMatchObject({ code: 0 });

    const says = [/refuses user or password: correct the url of the destination/];
    const check = await instance.cli('destination', 'check', 'far', '--json');
    expectClear(check, { code: 4, kind: 'destination-unavailable', says });
    const sync = await instance.cli('sync');
    expect({ ...sync }).toMatchObject({ code: 4, stderr: expect.stringMatching(says[0] ?? /./) });
    expect(sync.stderr).toContain('1 deliveries wait until their destination is back');
    expect(sync.stderr + sync.stdout).not.toContain('wrong-secret');

    await instance.write('millrace.yaml', config(warehouseUrl));
    expect(await instance.cli('apply')).toMatchObject({ code: 0 });
    await expect
      .poll(async () => (await instance.cli('sync')).code, { timeout: 60_000, interval: 500 })
      .toBe(0);
    const rows = await instance.warehouse('SELECT id::int FROM files.orders ORDER BY id');
    expect(rows).toEqual([{ id: 1 }, { id: 2 }, { id: 3 }]);
  });
});

test('a port in use: up ends with 1, names the port and how to take others', async () => {
  const stranger = await listen(8743).catch(() => undefined); // taken already is as good
  const result = await cli('port', ['up', '--detach', '--no-demo', '--json']);
  stranger?.close();
  const says = [/Port 8743, meant for the Millrace server, is in use.*--ports auto/];
  expectClear(result, { code: 1, kind: 'port-taken', says });
});

describe('a Temporal that cannot be used: up ends with 4 and names TEMPORAL_ADDRESS', () => {
  const up = (address: string, more: NodeJS.ProcessEnv = {}) =>
    cli('temporal', ['up', '--detach', '--ports', 'auto', '--no-demo', '--json'], {
      DATABASE_URL: instance.urls.catalogUrl,
      TEMPORAL_ADDRESS: address,
      ...more,
    });
  const advice = /TEMPORAL_ADDRESS names .*without TEMPORAL_ADDRESS Millrace runs a Temporal/;
  const wanted = (reason: RegExp) => ({
    code: 4,
    kind: 'temporal-unavailable',
    says: [advice, reason],
  });

  test('nothing listens there', async () => {
    expectClear(await up('127.0.0.1:1'), wanted(/ECONNREFUSED/));
  });

  test('something listens there and never answers', async () => {
    const silent = await listen(0);
    const { port } = silent.address() as AddressInfo;
    const result = await up(`127.0.0.1:${port}`);
    silent.close();
    expectClear(result, wanted(/something listens there, but no Temporal answers/));
  });

  test('it has no such namespace', async () => {
    const result = await up(instance.urls.temporal, { TEMPORAL_NAMESPACE: 'nowhere' });
    expectClear(result, wanted(/it has no namespace "nowhere", see TEMPORAL_NAMESPACE/));
  });
});

test('a home that cannot be a folder: up ends with 3 and says what to do', async () => {
  await mkdir(folder, { recursive: true });
  await writeFile(homeOf('file'), 'not a folder');
  const result = await cli('file', ['up', '--detach', '--no-demo', '--json']);
  const says = [/The home .*home-file cannot be written.*MILLRACE_HOME/];
  expectClear(result, { code: 3, kind: 'invalid-config', says });
});

function listen(port: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => resolve(server));
  });
}
