import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spawn } from 'node:child_process';
import { expect, test } from 'vitest';
import { Child, type ChildSpec } from '../../local/child.ts';
import { programBehind, refOf, isAlive, type ProcessRef } from '../../local/processes.ts';
import { waitForReadyLine } from '../../local/ready-line.ts';
import { withLifeLine } from '../../local/life-line.ts';
import { until } from '../support/until.ts';

const sayReady = 'console.log(JSON.stringify({ ready: true }));';
const live = 'setInterval(() => undefined, 1000);';

interface Fixture extends AsyncDisposable {
  readonly child: Child;
  readonly logFile: string;
  readonly wrappers: ProcessRef[];
}

async function setUp(script: string, change: Partial<ChildSpec> = {}): Promise<Fixture> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-child-'));
  const logFile = join(folder, 'child.log');
  const wrappers: ProcessRef[] = [];
  const spec: ChildSpec = {
    name: 'the child',
    command: [process.execPath, '-e', script],
    env: process.env,
    cwd: folder,
    stopSignal: 'TERM',
    graceMs: 1_000,
    logFile,
    readyTimeoutMs: 20_000,
    failureKind: 'temporal-unavailable',
    waitUntilReady: (start) => waitForReadyLine(logFile, start),
    ...change,
  };
  const child = new Child(spec, (wrapper) => wrappers.push(wrapper));
  return {
    child,
    logFile,
    wrappers,
    async [Symbol.asyncDispose]() {
      await child.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

test('a child is started again when it is killed, and serves again', async () => {
  await using fixture = await setUp(sayReady + live);
  await fixture.child.start();
  const first = programBehind(fixture.wrappers[0]?.pid ?? 0) ?? 0;
  process.kill(first, 'SIGKILL');
  await until('a second start', async () => fixture.wrappers.length === 2);
  await until('a second program', async () => programBehind(fixture.wrappers[1]?.pid ?? 0));
  expect(fixture.child.restarts).toBe(1);
});

test('a child that keeps ending is started ever more slowly, then the start fails', async () => {
  await using fixture = await setUp('process.exit(1)');
  const startedAt = Date.now();
  await expect(fixture.child.start()).rejects.toMatchObject({
    kind: 'temporal-unavailable',
    message: expect.stringContaining(fixture.logFile),
  });
  expect(Date.now() - startedAt).toBeGreaterThan(200 + 400 + 800);
});

test('a child that does not serve in time fails the start', async () => {
  await using fixture = await setUp(live, { readyTimeoutMs: 300 });
  await expect(fixture.child.start()).rejects.toThrow('was not ready within 0.3 s');
});

test('a child that ignores the request to stop is killed after its grace', async () => {
  await using fixture = await setUp(`process.on('SIGTERM', () => undefined); ${sayReady}${live}`);
  await fixture.child.start();
  const [wrapper] = fixture.wrappers;
  const program = refOf(programBehind(wrapper?.pid ?? 0) ?? 0);
  const startedAt = Date.now();
  await fixture.child.stop();
  expect(Date.now() - startedAt).toBeGreaterThanOrEqual(1_000);
  expect(isAlive(program)).toBe(false);
});

test('a log that has grown beyond its limit begins anew at the next start', async () => {
  await using fixture = await setUp(sayReady + live);
  await writeFile(fixture.logFile, Buffer.alloc(11 * 1024 * 1024, 'x'));
  await fixture.child.start();
  expect((await stat(fixture.logFile)).size).toBeLessThan(1_000);
  expect(await readFile(fixture.logFile, 'utf8')).toContain('ready');
});

test('a life-line ends the child when its holder is killed', async () => {
  const command = withLifeLine('TERM', [process.execPath, '-e', live]);
  const holder = `
    const { spawn } = require('node:child_process');
    const child = spawn(${JSON.stringify(command[0])}, ${JSON.stringify(command.slice(1))},
      { detached: true, stdio: ['ignore', 'ignore', 'ignore', 'pipe'] });
    console.log(child.pid);
    ${live}`;
  const process1 = spawn(process.execPath, ['-e', holder], { stdio: ['ignore', 'pipe', 'ignore'] });
  const wrapper = await new Promise<number>((resolve) => {
    process1.stdout.once('data', (chunk: Buffer) => resolve(Number(chunk.toString())));
  });
  const program = refOf(await until('the program', async () => programBehind(wrapper)));
  expect(isAlive(program)).toBe(true);
  process1.kill('SIGKILL');
  await until('its end', async () => !isAlive(program), 5_000);
});
