import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import type { ChildCommands } from '../../local/children.ts';
import { upDetached } from '../../local/detach.ts';
import { down } from '../../local/down.ts';
import { readInstance, readState } from '../../local/instance.ts';
import { ensureDatabase } from '../../local/postgres-databases.ts';
import {
  processesOf,
  programOf,
  query,
  setUp,
  type LocalFixture,
} from '../support/local-fixture.ts';
import { until } from '../support/until.ts';

const run = promisify(execFile);
const support = fileURLToPath(new URL('../support/', import.meta.url));
const isRoot = process.getuid?.() === 0;

describe('one instance', () => {
  test('starts everything, is found by a second start, stops within 5 s and leaves nothing running', async () => {
    await using fixture = await setUp({ embeddedDatabases: ['warehouse', 'archive'] });
    const first = await upDetached(fixture.options);
    expect(first.started).toBe(true);
    expect(first.info).toMatchObject({ home: fixture.home, tokens: {}, pid: expect.any(Number) });
    expect(Object.keys(first.info.destinations)).toEqual(['warehouse', 'archive']);
    expect(first.info.warehouseUrl).toBe(first.info.destinations['warehouse']);
    expect((await fetch(`${first.info.console}/readyz`)).ok).toBe(true);
    expect((await fetch(first.info.temporalUi ?? '')).ok).toBe(true);

    const second = await upDetached({ ...fixture.options, ports: 'default' });
    expect(second).toEqual({ started: false, info: first.info });

    const { postgresData } = await readState(fixture.home);
    expect(processesOf(fixture.home, postgresData).length).toBeGreaterThanOrEqual(4);
    const startedAt = Date.now();
    expect(await down(fixture.home)).toBe(true);
    expect(Date.now() - startedAt).toBeLessThan(5_000);
    expect(processesOf(fixture.home, postgresData)).toEqual([]);
    expect(await readInstance(fixture.home)).toBeNull();
    expect(await down(fixture.home)).toBe(false);
  });

  test('works as a role that is no superuser but may make databases', async () => {
    await using fixture = await setUp();
    const { info } = await upDetached(fixture.options);
    const [role] = await query(
      info.catalogUrl,
      'SELECT rolsuper, rolcreatedb FROM pg_roles WHERE rolname = current_user',
    );
    expect(role).toEqual({ rolsuper: false, rolcreatedb: true });
    expect(await query(info.catalogUrl, 'SHOW fsync')).toEqual([{ fsync: 'on' }]);
    const baseUrl = info.catalogUrl.replace(/\/[^/]*$/, '');
    const urls = await Promise.all([
      ensureDatabase(baseUrl, 'späte'),
      ensureDatabase(baseUrl, 'späte'),
    ]);
    expect(await query(urls[0], 'SELECT current_database() AS name')).toEqual([{ name: 'späte' }]);
    const stranger = info.catalogUrl.replace(/:[^:@/]+@/, ':guess@');
    await expect(query(stranger, 'SELECT 1')).rejects.toThrow(/password authentication failed/);
  });

  test('that loses its supervisor to SIGKILL goes down; the next start has all its data', async () => {
    await using fixture = await setUp();
    const before = await upDetached(fixture.options);
    await query(before.info.warehouseUrl, 'CREATE TABLE kept AS SELECT 1 AS value');
    const { postgresData } = await readState(fixture.home);
    process.kill(before.info.pid, 'SIGKILL');

    const startedAt = Date.now();
    const after = await upDetached(fixture.options);
    expect(Date.now() - startedAt).toBeLessThan(20_000);
    expect({ ...after.info, pid: 0 }).toEqual({ ...before.info, pid: 0 });
    expect(await query(after.info.warehouseUrl, 'SELECT value FROM kept')).toEqual([{ value: 1 }]);

    process.kill(after.info.pid, 'SIGKILL');
    await until(
      'the end of all',
      async () => processesOf(fixture.home, postgresData).length === 0,
      25_000,
    );
  });

  test('survives SIGKILL of everything at once', async () => {
    await using fixture = await setUp();
    const { info } = await upDetached(fixture.options);
    await query(info.warehouseUrl, 'CREATE TABLE kept AS SELECT 1 AS value');
    const { postgresData } = await readState(fixture.home);
    process.kill(info.pid, 'SIGSTOP');
    for (const pid of processesOf(fixture.home, postgresData)) process.kill(pid, 'SIGKILL');
    process.kill(info.pid, 'SIGKILL');
    const after = await upDetached(fixture.options);
    expect(await query(after.info.warehouseUrl, 'SELECT value FROM kept')).toEqual([{ value: 1 }]);
  });

  test('starts each of its parts again when it is killed', async () => {
    await using fixture = await setUp();
    const { info } = await upDetached(fixture.options);
    const healthy = async (): Promise<boolean> =>
      (await fetch(`${info.console}/readyz`)).ok &&
      (await fetch(info.temporalUi ?? '')).ok &&
      (await query(info.catalogUrl, 'SELECT 1')).length === 1;
    for (const name of ['Postgres', 'Temporal', 'worker', 'server']) {
      const killed = await programOf(fixture.home, name);
      process.kill(killed, 'SIGKILL');
      await until(`another ${name}`, async () => (await programOf(fixture.home, name)) !== killed);
      expect(await until(`health after ${name}`, healthy, 20_000)).toBe(true);
    }
    expect((await readInstance(fixture.home))?.supervisor.pid).toBe(info.pid);
  });

  test.each(['SIGINT', 'SIGTERM'] as const)(
    'stops in order at %s, also when it comes twice at once',
    async (signal) => {
      await using fixture = await setUp();
      const { info } = await upDetached(fixture.options);
      const { postgresData } = await readState(fixture.home);
      process.kill(info.pid, signal);
      process.kill(info.pid, signal);
      await until('its end', async () => (await readInstance(fixture.home)) === null, 5_000);
      expect(processesOf(fixture.home, postgresData)).toEqual([]);
      expect(await readFileEnd(join(fixture.home, 'logs', 'supervisor.log'))).toBe('');
    },
  );

  test.each(['SIGINT', 'SIGKILL'] as const)(
    'still hears at %s how the last activities of its worker ended',
    async (signal) => {
      await using fixture = await setUp();
      const options = { ...fixture.options, commands: withReporter(fixture) };
      const { info } = await upDetached(options);
      process.kill(info.pid, signal);
      const report = () => readFile(join(fixture.home, 'report'), 'utf8').catch(() => undefined);
      expect(await until('the report', report)).toBe('heard');
      if (signal === 'SIGKILL') await down(fixture.home);
    },
  );

  test('is one, however many start it at once', async () => {
    await using fixture = await setUp();
    const starts = await Promise.all([1, 2, 3].map(() => upDetached(fixture.options)));
    expect(starts.filter(({ started }) => started)).toHaveLength(1);
    expect(new Set(starts.map(({ info }) => info.pid)).size).toBe(1);
  });

  test('that is interrupted during its start is gone within 5 s and starts later', async () => {
    await using fixture = await setUp();
    let interruptedAt = Number.NaN;
    const interrupted = upDetached({
      ...fixture.options,
      onProgress(message) {
        if (message !== 'Temporal is ready') return;
        interruptedAt = Date.now();
        void readInstance(fixture.home).then((found) =>
          process.kill(found?.supervisor.pid ?? 0, 'SIGINT'),
        );
      },
    });
    await expect(interrupted).rejects.toThrow('stopped during the start');
    expect(Date.now() - interruptedAt).toBeLessThan(5_000);
    expect(await readInstance(fixture.home)).toBeNull();
    expect(processesOf(fixture.home, (await readState(fixture.home)).postgresData)).toEqual([]);
    expect((await upDetached(fixture.options)).started).toBe(true);
  });

  test('is not disturbed by another one beside it', async () => {
    await using one = await setUp();
    await using other = await setUp();
    const [first, second] = await Promise.all([upDetached(one.options), upDetached(other.options)]);
    expect(first.info.console).not.toBe(second.info.console);
    await down(one.home);
    expect((await fetch(`${second.info.console}/readyz`)).ok).toBe(true);
  });
});

/** A worker whose activities end a second after it was told to stop. */
function withReporter({ options, home }: LocalFixture): Partial<ChildCommands> {
  const program = `
    const { connect } = require('node:net');
    const { writeFileSync } = require('node:fs');
    const [host, port] = process.env.TEMPORAL_ADDRESS.split(':');
    function report() {
      const socket = connect(Number(port), host);
      const end = (said) => () => { writeFileSync(${JSON.stringify(join(home, 'report'))}, said); process.exit(); };
      socket.on('connect', end('heard')).on('error', end('lost'));
    }
    process.on('SIGTERM', () => setTimeout(report, 1_000));
    console.log(JSON.stringify({ ready: true }));
    setInterval(() => undefined, 1_000);`;
  return { ...options.commands, worker: [process.execPath, '-e', program] };
}

async function readFileEnd(file: string): Promise<string> {
  return readFileSync(file, 'utf8').trim();
}

describe('a start that cannot work says why and leaves nothing running', () => {
  async function expectRefusal(fixture: LocalFixture, refusal: object): Promise<void> {
    await expect(upDetached(fixture.options)).rejects.toMatchObject(refusal);
    expect(await readInstance(fixture.home)).toBeNull();
    expect(processesOf(fixture.home, (await readState(fixture.home)).postgresData)).toEqual([]);
  }

  test('port in use', async () => {
    await using fixture = await setUp();
    const { info } = await upDetached(fixture.options);
    await down(fixture.home);
    const port = Number(new URL(info.console).port);
    const stranger = createServer().listen(port, '127.0.0.1');
    const keeping = { ...fixture, options: { ...fixture.options, ports: 'default' as const } };
    await expectRefusal(keeping, {
      kind: 'port-taken',
      message: expect.stringMatching(new RegExp(`Port ${port}.*--ports auto`)),
    });
    stranger.close();
  });

  test('unreachable Temporal', async () => {
    await using fixture = await setUp({ env: { ...process.env, TEMPORAL_ADDRESS: '127.0.0.1:9' } });
    await expectRefusal(fixture, {
      kind: 'temporal-unavailable',
      message: expect.stringContaining('127.0.0.1:9'),
    });
  });

  test('no Temporal on this machine, also while Postgres is being made', async () => {
    const env = { ...process.env, TEMPORAL_CLI: join(tmpdir(), 'no-temporal-here') };
    await using fixture = await setUp({ env });
    await expectRefusal(fixture, {
      kind: 'temporal-unavailable',
      message: expect.stringContaining('TEMPORAL_CLI'),
    });
    // What was begun is noted in the state, so that a later start goes on with it.
    const { postgresData = '' } = await readState(fixture.home);
    expect(await readdir(dirname(postgresData))).not.toContain('postgres-new');
  });

  test('a wrong password in DATABASE_URL, which is not repeated', async () => {
    await using owner = await setUp();
    const { info } = await upDetached(owner.options);
    const wrong = info.catalogUrl.replace(/:[^:@/]+@/, ':secret-guess@');
    await using fixture = await setUp({ env: { ...process.env, DATABASE_URL: wrong } });
    await expectRefusal(fixture, {
      kind: 'catalog-unavailable',
      message: expect.not.stringContaining('secret-guess'),
    });
  });

  test('a Postgres that is too old', async () => {
    await using fixture = await setUp();
    const bin = await mkdtemp(join(tmpdir(), 'millrace-old-postgres-'));
    await chmod(bin, 0o755);
    await writeFile(join(bin, 'postgres'), '#!/bin/sh\necho "postgres (PostgreSQL) 14.9"\n', {
      mode: 0o755,
    });
    const old = { ...fixture.options, env: { ...process.env, MILLRACE_PG_BIN: bin } };
    await expectRefusal(
      { ...fixture, options: old },
      { kind: 'invalid-config', message: expect.stringContaining('15 or newer') },
    );
    await rm(bin, { recursive: true });
  });

  test('a server that does not start, with the name of its log', async () => {
    await using fixture = await setUp({
      commands: {
        server: [process.execPath, '-e', 'process.exit(1)'],
        worker: [process.execPath, join(support, 'stand-ins', 'worker.ts')],
      },
    });
    await expectRefusal(fixture, { message: expect.stringContaining('server.log') });
  });

  test.skipIf(!isRoot)('disk full in the home (needs root, for a tmpfs)', async () => {
    await using fixture = await setUp();
    const disk = await mkdtemp(join(tmpdir(), 'millrace-full-'));
    await run('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', disk]);
    const full = { ...fixture.options, home: join(disk, 'home') };
    try {
      await expectRefusal(
        { ...fixture, options: full },
        { kind: 'staging-unavailable', message: expect.stringContaining('Free some space') },
      );
    } finally {
      await run('umount', [disk]);
      await rm(disk, { recursive: true });
    }
  });
});

test('another catalog and another Temporal take the place of the embedded ones', async () => {
  await using owner = await setUp();
  const { info: theirs } = await upDetached(owner.options);
  const env = {
    ...process.env,
    DATABASE_URL: theirs.catalogUrl,
    TEMPORAL_ADDRESS: theirs.temporal,
  };
  await using fixture = await setUp({ env });
  const { info } = await upDetached(fixture.options);
  expect(info).toMatchObject({
    catalogUrl: theirs.catalogUrl,
    temporal: theirs.temporal,
    temporalUi: null,
    warehouseUrl: null,
    destinations: {},
  });
  expect(Object.keys((await readState(fixture.home)).children ?? {}).sort()).toEqual([
    'server',
    'worker',
  ]);
});
