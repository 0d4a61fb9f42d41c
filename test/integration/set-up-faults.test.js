import { execFile } from 'node:child_process';
import { chmodSync, copyFileSync, cpSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findTemporal } from '../../scripts/temporal-cli.js';

const root = fileURLToPath(new URL('../../', import.meta.url));
const usualGo = '/usr/local/go/bin/go';
/** Nothing listens there; port 1, of which fetch says nothing but "bad port", is no such place. */
const nowhere = 'http://127.0.0.1:2';

let folder;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-set-up-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Programs that say what real ones would: `{ name: shell script }` → a folder for the PATH. */
function fakePrograms(name, programs) {
  const bin = join(folder, name);
  mkdirSync(bin, { recursive: true });
  for (const [program, script] of Object.entries(programs)) {
    writeFileSync(join(bin, program), `#!/bin/sh\n${script}\n`);
    chmodSync(join(bin, program), 0o755);
  }
  return bin;
}

/** What set-up says when it looks for Temporal on such a machine, without a network. */
async function lookForTemporal(name, { programs = {}, env = {}, go } = {}) {
  const environment = {
    PATH: [fakePrograms(name, programs), '/usr/bin', '/bin'].join(delimiter),
    HOME: join(folder, name),
    XDG_CACHE_HOME: join(folder, name, 'cache'),
    MILLRACE_TEMPORAL_RELEASES: nowhere,
    ...env,
  };
  return findTemporal(environment, go ?? join(folder, 'no-go')).catch((error) => {
    expect(error.name).toBe('SetUpError');
    return error;
  });
}

const temporalOf = (server) => `echo "temporal version 0.0.0-DEV (Server ${server}, UI 2.0.0)"`;

describe('without Temporal and without a network, set-up ends with 4 and names every way out', () => {
  const waysOut = [
    /connect the machine to the internet \(download: ECONNREFUSED\)/,
    /install Go 1\.25 or newer/,
    /install the Temporal CLI 1\.5\.1 or newer/,
    /name a running server in TEMPORAL_ADDRESS/,
  ];

  test.each([
    ['no Go', {}, /Go was not found/],
    ['an old Go', { go: 'echo go1.19.8' }, /found go1\.19\.8, too old/],
    [
      'a Go that cannot reach its modules',
      {
        go: '[ "$1" = env ] && echo go1.25.0 || { echo "dial tcp: lookup proxy.golang.org: no such host"; exit 1; }',
      },
      /its modules: no such host/,
    ],
  ])('%s', async (name, programs, reason) => {
    const { message, exitCode } = await lookForTemporal(name, { programs });
    for (const words of [...waysOut, reason]) expect(message).toMatch(words);
    expect(exitCode).toBe(4);
  });

  test.skipIf(!existsSync(usualGo))(
    'the real Go of this machine, its proxy on a closed port (only where there is one)',
    async () => {
      const env = {
        GOPROXY: nowhere,
        GOMODCACHE: join(folder, 'go-mod'),
        GOCACHE: join(folder, 'go-build'),
        GOFLAGS: '-modcacherw',
        GOTOOLCHAIN: 'local',
      };
      const { message, exitCode } = await lookForTemporal('real-go', { env, go: usualGo });
      expect(message).toMatch(/its modules: connection refused/);
      expect(exitCode).toBe(4);
    },
  );
});

describe('a Temporal CLI', () => {
  test('on the PATH that is too old is passed over', async () => {
    const programs = { temporal: temporalOf('1.24.2') };
    const { message } = await lookForTemporal('old-cli', { programs });
    expect(message).toMatch(/Temporal was not found on this machine/);
  });

  test('on the PATH that is new enough is taken', async () => {
    const programs = { temporal: temporalOf('1.29.1') };
    expect(await lookForTemporal('new-cli', { programs })).toBe(
      join(folder, 'new-cli', 'temporal'),
    );
  });

  test('named by a person has to fit: too old is refused, with what to do', async () => {
    const file = join(fakePrograms('named', { temporal: temporalOf('1.24.2') }), 'temporal');
    const error = await lookForTemporal('named', { env: { TEMPORAL_CLI: file } });
    expect(error.message).toMatch(
      /TEMPORAL_CLI names .*whose server is 1\.24\.2.*update it, or unset/,
    );
    expect(error.exitCode).toBe(1);
  });

  test('named by a person that is no program is refused', async () => {
    const error = await lookForTemporal('none', { env: { TEMPORAL_CLI: '/nowhere/temporal' } });
    expect(error.message).toMatch(/\/nowhere\/temporal, which is no program\. Correct or unset it/);
  });

  test('is not looked for where TEMPORAL_ADDRESS names a server', async () => {
    expect(await lookForTemporal('address', { env: { TEMPORAL_ADDRESS: 'far:7233' } })).toBeNull();
  });
});

describe('a clone that was never set up', () => {
  let clone;
  let environment;

  beforeAll(() => {
    clone = join(folder, 'clone');
    for (const name of ['scripts', 'cli']) {
      cpSync(join(root, name), join(clone, name), { recursive: true });
    }
    for (const name of ['package.json', 'package-lock.json', '.npmrc']) {
      copyFileSync(join(root, name), join(clone, name));
    }
    const path = process.env.PATH.split(delimiter).filter((part) => !part.includes('node_modules'));
    environment = {
      PATH: path.join(delimiter),
      HOME: join(folder, 'home'),
      npm_config_cache: join(folder, 'npm-cache'),
      npm_config_registry: `${nowhere}/`,
      XDG_CACHE_HOME: join(folder, 'cache'),
    };
  });

  /** On the Node of the machine, which may be 20. */
  function npm(...args) {
    return new Promise((resolve) => {
      const child = execFile('npm', args, { cwd: clone, env: environment }, (_, stdout, stderr) =>
        resolve({ code: child.exitCode, stdout, stderr }),
      );
    });
  }

  test('refuses every verb with "run npm start first"', async () => {
    for (const verb of [['status'], ['sync', '--json'], ['no-such-verb']]) {
      const { code, stderr } = await npm('run', '-s', 'millrace', '--', ...verb);
      expect({ verb, code }).toEqual({ verb, code: 1 });
      expect(stderr.trim()).toBe('Millrace is not set up here yet: run npm start first.');
    }
  });

  test('without a network: npm start ends with 4 and says what to do', async () => {
    const { code, stderr } = await npm('start');
    expect({ code, stderr }).toMatchObject({ code: 4 });
    expect(stderr).toMatch(/npm cannot reach its package registry \(ECONNREFUSED\)\. Connect/);
    expect(stderr).not.toMatch(/^\s+at |node:internal/m);
    expect(existsSync(join(clone, 'node_modules', '.millrace-set-up.json'))).toBe(false);
  });
});
