import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { defaultPorts, isFree } from '../../local/ports.ts';
import { readState } from '../../local/instance.ts';
import { readDemoTables, readReadings } from '../support/demo-files.ts';
import { sumFiles, sumWarehouse } from '../support/demo-tables.ts';
import { cloneFor, shareBuild, systemPath } from '../support/fresh-clone.ts';
import type { FreshClone, Person } from '../support/fresh-clone.ts';
import { noteMeasure } from '../support/measures.ts';
import { processesOf } from '../support/local-fixture.ts';
import { createOrdinaryUser, ourselves, type OrdinaryUser } from '../support/ordinary-user.ts';
import { removeHome } from '../support/remove-home.ts';
import type { InstanceUrls } from '../support/instance.ts';

const run = promisify(execFile);
const isRoot = process.getuid?.() === 0;
const minutes = 60_000;

let folder: string;
let ordinary: OrdinaryUser;
/** The caches that the first set-up fills. */
let coldCaches: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-heavy-'));
  await run('chmod', ['755', folder]);
  coldCaches = join(folder, 'cold');
  await Promise.all(['10', '11'].map(installNpm));
  ordinary = await createOrdinaryUser();
}, 5 * minutes);

afterAll(async () => {
  await ordinary[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
}, minutes);

const npmFolder = (major: string) => join(folder, `npm-${major}`);
const npmBin = (major: string) => join(npmFolder(major), 'node_modules', '.bin');

async function installNpm(major: string): Promise<void> {
  await mkdir(npmFolder(major), { recursive: true });
  const env = { ...process.env, PATH: systemPath().join(':') };
  const args = ['install', '--silent', '--prefix', npmFolder(major), `npm@${major}`];
  await run('npm', args, { env, cwd: npmFolder(major) });
}

const people = {
  'root in /root': () => ourselves(),
  'an ordinary user': () => ordinary.person,
} as const;

type Who = keyof typeof people;

/** Root is the first where the tests run as root; the others then share its build of Temporal. */
const combinations: readonly { who: Who; npm: string; cold: boolean }[] = [
  { who: 'root in /root', npm: '10', cold: isRoot },
  { who: 'root in /root', npm: '11', cold: false },
  { who: 'an ordinary user', npm: '10', cold: !isRoot },
  { who: 'an ordinary user', npm: '11', cold: false },
];

describe.each(combinations)('a new clone, $who, npm $npm, empty caches: $cold', (combination) => {
  const { who, npm, cold } = combination;

  test.skipIf(who === 'root in /root' && !isRoot)(
    'starts with one command, has every record of the demo, and comes back after Ctrl-C and kill -9 (root: only where the tests run as root)',
    async () => {
      const person = people[who]();
      const caches = cold ? coldCaches : join(folder, `${person.name}-${npm}`);
      if (!cold) await shareBuild(coldCaches, caches);
      await using clone = await cloneFor({ person, npmBin: npmBin(npm), caches });
      const life = await openLife(clone, person);
      try {
        expect((await clone.run('npm', '--version')).split('.')[0]).toBe(npm);
        await life.start(cold ? 'the first start, caches empty' : 'the first start', 30 * minutes);
        await expectDemo(clone);
        await life.interrupt();

        expect(await life.start('the second start', 2 * minutes)).toBeLessThan(20);
        await expectDemo(clone);
        await life.kill();

        await life.start('the start after kill -9', 2 * minutes);
        await expectDemo(clone);
        await life.interrupt();
      } finally {
        await removeHome(join(clone.directory, '.millrace'));
      }
    },
    50 * minutes,
  );
});

/** Starts, stops and kills what runs in a clone, and says how long it took. */
async function openLife(clone: FreshClone, person: Person) {
  const home = join(clone.directory, '.millrace');
  const ports = (await areDefaultPortsFree()) ? [] : ['--ports', 'auto'];
  const label = `${person.name}, npm ${(await clone.run('npm', '--version')).trim()}`;
  let current: ReturnType<FreshClone['start']>;
  const remaining = async () => processesOf(home, (await readState(home)).postgresData);
  return {
    async start(what: string, deadlineMs: number): Promise<number> {
      current = clone.start(...ports);
      const seconds = await current.ready(deadlineMs);
      await noteMeasure(`${label}: ${what} is ready after ${seconds.toFixed(1)} s`);
      return seconds;
    },
    async interrupt(): Promise<void> {
      const seconds = await current.interrupt();
      await noteMeasure(`${label}: all is down ${seconds.toFixed(1)} s after Ctrl-C`);
      expect(seconds).toBeLessThan(5);
      expect(await remaining()).toEqual([]);
    },
    async kill(): Promise<void> {
      const { pid } = await status(clone);
      process.kill(pid, 'SIGKILL');
      await current.ended;
    },
  };
}

async function areDefaultPortsFree(): Promise<boolean> {
  const free = await Promise.all(Object.values(defaultPorts).map(isFree));
  return free.every(Boolean);
}

async function status(clone: FreshClone): Promise<InstanceUrls> {
  return JSON.parse(await clone.run('npm', 'run', '-s', 'millrace', '--', 'status', '--json'));
}

/** Every table equals its file, column by column; what is missing is parked, with its reason. */
async function expectDemo(clone: FreshClone): Promise<void> {
  const { warehouseUrl, catalogUrl } = await status(clone);
  const expected = sumFiles(readDemoTables(clone.directory));
  expect(await sumWarehouse(warehouseUrl, Object.keys(expected))).toEqual(expected);
  const { bad } = readReadings(clone.directory);
  expect(bad.length).toBeGreaterThan(0);
  expect(await readParked(catalogUrl)).toEqual(bad);
}

async function readParked(url: string) {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query(
      `SELECT line_number::int AS "lineNumber", kind, raw FROM millrace.failed_events
        WHERE source = 'sensors' AND state = 'open' AND message <> '' ORDER BY line_number`,
    );
    return rows;
  } finally {
    await client.end();
  }
}
