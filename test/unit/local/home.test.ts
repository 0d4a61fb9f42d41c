import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { homeDirectory, keepSecret, openHome, writePrivateFile } from '../../../local/home.ts';
import { readInstance, readState } from '../../../local/instance.ts';
import { claimHome, readOwner, releaseHome } from '../../../local/owner-lock.ts';
import { StateFile } from '../../../local/state-file.ts';

async function makeFolder(): Promise<AsyncDisposable & { path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'millrace-home-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

const modeOf = async (path: string): Promise<string> =>
  ((await stat(path)).mode & 0o777).toString(8);

describe('the home', () => {
  test('is .millrace below the working directory, unless MILLRACE_HOME says otherwise', () => {
    expect(homeDirectory({})).toBe(join(process.cwd(), '.millrace'));
    expect(homeDirectory({ MILLRACE_HOME: '/srv/millrace' })).toBe('/srv/millrace');
  });

  test('is for its owner alone, with everything that is secret in it', async () => {
    await using folder = await makeFolder();
    const home = await openHome(join(folder.path, 'home'));
    expect(await modeOf(home.directory)).toBe('700');
    expect(await modeOf(home.logs)).toBe('700');
    expect(await modeOf(home.adminToken)).toBe('600');
    expect(await modeOf(home.secretKey)).toBe('600');
  });

  test('keeps its secrets when it is opened again', async () => {
    await using folder = await makeFolder();
    const home = await openHome(folder.path);
    const token = await readFile(home.adminToken, 'utf8');
    await openHome(folder.path);
    expect(await readFile(home.adminToken, 'utf8')).toBe(token);
    expect(token.trim()).toMatch(/^[\w-]{43}$/);
  });

  test('gives two who make a secret at once the same one', async () => {
    await using folder = await makeFolder();
    const file = join(folder.path, 'secret');
    const [first, second] = await Promise.all([keepSecret(file), keepSecret(file)]);
    expect(first).toBe(second);
  });

  test('that cannot be made says what to do', async () => {
    await using folder = await makeFolder();
    const file = join(folder.path, 'file');
    await writeFile(file, '');
    await expect(openHome(join(file, 'home'))).rejects.toMatchObject({
      kind: 'invalid-config',
      message: expect.stringContaining('MILLRACE_HOME'),
    });
  });
});

describe('the state of a home', () => {
  test('comes back as it was written, readable by its owner alone', async () => {
    await using folder = await makeFolder();
    const home = await openHome(folder.path);
    const state = await StateFile.open(folder.path);
    await Promise.all([
      state.update({ phase: 'starting' }),
      state.update({ postgresData: '/data' }),
    ]);
    expect(await readState(folder.path)).toEqual({ phase: 'starting', postgresData: '/data' });
    expect(await modeOf(home.state)).toBe('600');
  });

  test('is empty where there is none, or a damaged one', async () => {
    await using folder = await makeFolder();
    const home = await openHome(folder.path);
    expect(await readState(folder.path)).toEqual({});
    await writeFile(home.state, '{"phase":');
    expect(await readState(folder.path)).toEqual({});
  });
});

test('a file that cannot be replaced leaves no draft beside it', async () => {
  await using folder = await makeFolder();
  const taken = join(folder.path, 'taken');
  await mkdir(taken);
  await expect(writePrivateFile(taken, 'content')).rejects.toThrow(/EISDIR|ENOTEMPTY|EEXIST/);
  expect(await readdir(folder.path)).toEqual(['taken']);
});

describe('the owner of a home', () => {
  test('is the first who claims it, until it lets go', async () => {
    await using folder = await makeFolder();
    const home = await openHome(folder.path);
    expect(await claimHome(home)).toBe(true);
    expect(await claimHome(home)).toBe(false);
    expect((await readOwner(home))?.pid).toBe(process.pid);
    expect(await readInstance(folder.path)).toMatchObject({ phase: 'starting' });
    await releaseHome(home);
    expect(await readInstance(folder.path)).toBeNull();
  });

  test('loses it by dying, also when another process got its pid', async () => {
    await using folder = await makeFolder();
    const home = await openHome(folder.path);
    await writeFile(home.owner, JSON.stringify({ pid: process.pid, bornAt: '1' }));
    expect(await readOwner(home)).toBeNull();
    expect(await claimHome(home)).toBe(true);
  });

  test('is one, however many claim a stale home at once', async () => {
    await using folder = await makeFolder();
    const home = await openHome(folder.path);
    await writeFile(home.owner, JSON.stringify({ pid: 2 ** 22 + 1, bornAt: '1' }));
    const claims = await Promise.all(Array.from({ length: 5 }, () => claimHome(home)));
    expect(claims.filter(Boolean)).toEqual([true]);
  });
});
