import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { homedir, hostname } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { listFiles, readProjectFile, root } from '../support/project.ts';

interface LockedPackage {
  readonly version?: string;
  readonly dev?: boolean;
  readonly optional?: boolean;
  readonly resolved?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const { packages } = JSON.parse(readProjectFile('package-lock.json')) as {
  packages: Readonly<Record<string, LockedPackage>>;
};

describe('packages that run', () => {
  /** Licences under which everybody may use, change and pass on. */
  const allowed =
    /^(MIT|ISC|0BSD|BSD-2-Clause|BSD-3-Clause|Apache-2\.0|Unlicense|BlueOak-1\.0\.0)$/;
  /** Data of browsers, with attribution; comes with the bundler of workflows. */
  const exceptions: Readonly<Record<string, string>> = { 'caniuse-lite': 'CC-BY-4.0' };

  test('are at most 60 beside those of Temporal', () => {
    const own = Object.keys(packages['']?.dependencies ?? {});
    const found = closureOf(own.filter((name) => !name.startsWith('@temporalio/')));
    expect(found.size).toBeGreaterThan(10);
    expect(found.size).toBeLessThanOrEqual(60);
  });

  test('have licences that allow everybody to use and pass them on', () => {
    const wrong = Object.entries(packages)
      .filter(([path, { dev }]) => path !== '' && !dev && existsSync(join(root, path)))
      .map(([path]) => [path.replace(/^.*node_modules\//, ''), licenceOf(path)] as const)
      .filter(([name, licence]) => licence !== exceptions[name] && !isAllowed(licence));
    expect(wrong).toEqual([]);
  });

  function isAllowed(licence: string): boolean {
    return licence
      .split(/ (?:AND|OR) /)
      .every((part) => allowed.test(part.replaceAll(/[()]/g, '')));
  }
});

describe('files of the project', () => {
  const texts = listFiles().filter(
    (file) => existsSync(join(root, file)) && !/[.](ndjson|gz|png|bin)$/.test(file),
  );

  test('name no place of the machine they were written on', () => {
    const places = [root.replace(/\/$/, ''), `${homedir()}/.`, hostname()].filter(
      (place) => place.length > 5,
    );
    const found = texts.flatMap((file) => {
      const text = readProjectFile(file);
      return places.filter((place) => text.includes(place)).map((place) => `${file}: ${place}`);
    });
    expect(found).toEqual([]);
  });

  test('name no registry: everybody installs from their own', () => {
    const registries = /https?:\/\/[^\s'"]*(registry|npmjs|artifactory|proxy\.golang|goproxy)/i;
    const self = 'test/architecture/repository.test.ts';
    expect(texts.filter((file) => file !== self && registries.test(readProjectFile(file)))).toEqual(
      [],
    );
    expect(Object.values(packages).filter(({ resolved }) => resolved !== undefined)).toEqual([]);
    expect(readProjectFile('.npmrc')).not.toMatch(/registry\s*=/);
  });
});

describe('docker-compose.yml', () => {
  const compose = findCompose();

  test('starts Temporal with its UI, PostgreSQL, a server and a worker, in order', () => {
    const { services } = parse(readProjectFile('docker-compose.yml'), { merge: true }) as {
      services: Record<string, { image?: string; depends_on?: object; ports?: string[] }>;
    };
    expect(new Set(Object.keys(services))).toEqual(
      new Set(['postgres', 'server', 'temporal', 'temporal-ui', 'worker']),
    );
    for (const { depends_on: needed = {}, ports = [] } of Object.values(services)) {
      expect(Object.keys(needed).filter((name) => !Object.hasOwn(services, name))).toEqual([]);
      expect(ports.filter((port) => !port.startsWith('127.0.0.1:'))).toEqual([]);
    }
  });

  test.skipIf(compose === undefined)(
    'is accepted by docker-compose config (skipped where no docker-compose is installed)',
    () => {
      const [program = '', ...args] = compose ?? [];
      const { status, stderr } = spawnSync(program, [...args, 'config', '--quiet'], {
        cwd: root,
        encoding: 'utf8',
      });
      expect(stderr).not.toMatch(/error/i);
      expect(status).toBe(0);
    },
  );
});

function findCompose(): readonly string[] | undefined {
  return [['docker-compose'], ['docker', 'compose']].find(
    ([program = '', ...args]) => spawnSync(program, [...args, 'version']).status === 0,
  );
}

/** All packages that come with these, as npm resolves them: the nearest node_modules wins. */
function closureOf(names: readonly string[]): ReadonlySet<string> {
  const found = new Set<string>();
  const visit = (name: string, from: string) => {
    const path = resolvePackage(name, from);
    if (path === undefined || found.has(path)) return;
    found.add(path);
    for (const next of Object.keys(packages[path]?.dependencies ?? {})) visit(next, path);
  };
  for (const name of names) visit(name, '');
  return found;
}

function resolvePackage(name: string, from: string): string | undefined {
  for (let at = from; ; at = at.replace(/(^|\/)node_modules\/(@[^/]+\/)?[^/]+$/, '')) {
    const path = `${at === '' ? '' : `${at}/`}node_modules/${name}`;
    if (packages[path]) return path;
    if (at === '') return undefined;
  }
}

function licenceOf(path: string): string {
  const { license } = JSON.parse(readFileSync(join(root, path, 'package.json'), 'utf8')) as {
    license?: string;
  };
  if (license !== undefined) return license;
  const text = readFileSync(join(root, path, 'LICENSE'), 'utf8');
  return /free and unencumbered software/.test(text) ? 'Unlicense' : `unknown: ${path}`;
}
