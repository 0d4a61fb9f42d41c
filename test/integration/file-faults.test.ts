import { execFileSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { fileSource } from '../../connectors/file/index.ts';
import { FileSource } from '../../connectors/file/source.ts';
import { isPipelineError } from '../../core/errors.ts';
import { defaultRecordLimits } from '../../core/records.ts';
import type { KnownLane, ObservedLane } from '../../core/source.ts';

/** What file systems hold beside files: each stops the lane under its name, and no other. */
let root: string;
const { signal } = new AbortController();
const limits = { maxBytes: 2 ** 20, maxRecords: 1000, maxRanges: 4 };

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'millrace-faults-'));
  await write('good.ndjson', '{"n":1}\n');
});
afterEach(() => rm(root, { recursive: true, force: true }));

const at = (name: string) => join(root, name);
const write = (name: string, text: string) => writeFile(at(name), text);

function openSource(path = '**/*.ndjson'): FileSource {
  const settings = fileSource.settings.parse({ path, settleSeconds: 0 });
  return new FileSource(settings, { name: 'files', configDir: root, now: Date.now });
}

/** Of each lane: how many ranges it planned, or the kind and words of what stopped it. */
async function planAll(known: readonly KnownLane[] = [], path?: string) {
  const source = openSource(path);
  const lanes = await source.lanes(known, signal);
  const head = (lane: ObservedLane) =>
    known.find(({ name }) => name === lane.name)?.head ?? lane.start;
  const planned: Record<string, unknown> = {};
  for (const lane of lanes) {
    planned[lane.name] = await source.plan(lane, head(lane), limits, signal).then(
      ({ ranges }) => ranges.length,
      (error: unknown) => (isPipelineError(error) ? `${error.kind}: ${error.message}` : error),
    );
  }
  return planned;
}

async function planOf(name: string) {
  const source = openSource();
  const lane = (await source.lanes([], signal)).find((one) => one.name === name) as ObservedLane;
  const { ranges, memo } = await source.plan(lane, lane.start, limits, signal);
  const [range] = ranges;
  if (!range) throw new Error(`nothing is planned of ${name}`);
  return { range, known: { name, head: range.to, memo } };
}

async function readAll({ range, known }: Awaited<ReturnType<typeof planOf>>) {
  let blocks = 0;
  const context = { signal, limits: defaultRecordLimits, lane: known };
  for await (const block of openSource().read(range, context)) blocks += block.starts.length;
  return blocks;
}

test.each<[what: string, make: () => unknown, says: RegExp]>([
  [
    'a link out of the root',
    () => symlink('/etc/hostname', at('bad.ndjson')),
    /^invalid-config: bad.ndjson is a link out/,
  ],
  [
    'a link to nothing',
    () => symlink('/nowhere', at('bad.ndjson')),
    /^file-unreadable: bad.ndjson is a link to nothing/,
  ],
  [
    'a link to itself',
    () => symlink('bad.ndjson', at('bad.ndjson')),
    /^file-unreadable: bad.ndjson cannot be read \(ELOOP\)/,
  ],
  [
    'a pipe',
    () => execFileSync('mkfifo', [at('bad.ndjson')]),
    /^invalid-config: bad.ndjson is a pipe, socket or device/,
  ],
])('%s stops its lane alone', async (_, make, says) => {
  await make();
  const planned = await planAll();
  expect(planned).toEqual({ 'good.ndjson': 1, 'bad.ndjson': expect.stringMatching(says) });
  await expect(openSource().check(signal)).rejects.toThrow('bad.ndjson');
});

test('a name that is not UTF-8 stops its lane alone', async () => {
  await writeFile(
    Buffer.concat([Buffer.from(`${root}/`), Buffer.from([0xff]), Buffer.from('.ndjson')]),
    '{"n":2}\n',
  );
  expect(await planAll()).toEqual({
    'good.ndjson': 1,
    '\uFFFD.ndjson': expect.stringMatching(/^file-unreadable: .* not UTF-8: rename it/),
  });
});

test('a name with dots at its start is not out of the root', async () => {
  await write('..odd.ndjson', '{"n":1}\n');
  expect(await planAll([], '{..odd,good}.ndjson')).toEqual({ '..odd.ndjson': 1, 'good.ndjson': 1 });
});

test('a lane whose note is corrupt stops alone and keeps its file', async () => {
  const { known } = await planOf('good.ndjson');
  await write('other.ndjson', '{"n":2}\n');
  for (const memo of ['no note', '{}']) {
    expect(await planAll([{ ...known, memo }])).toEqual({
      'good.ndjson': expect.stringMatching(/^position-corrupt: /),
      'other.ndjson': 1,
    });
  }
});

test('a range whose file became something else is lost; one whose link broke is waited for', async () => {
  const planned = await planOf('good.ndjson');
  await rename(at('good.ndjson'), at('away'));
  execFileSync('mkfifo', [at('good.ndjson')]);
  await expect(readAll(planned)).rejects.toMatchObject({ kind: 'extract-lost' });
  await rm(at('good.ndjson'));
  await symlink('not-mounted', at('good.ndjson'));
  await expect(readAll(planned)).rejects.toMatchObject({ kind: 'source-unavailable' });
  await rename(at('away'), at('not-mounted'));
  expect(await readAll(planned)).toBe(1);
});

/** Root may read everything: it acts as somebody else meanwhile. */
async function asOrdinaryUser<T>(work: () => Promise<T>): Promise<T> {
  const isRoot = process.getuid?.() === 0;
  if (isRoot) process.seteuid?.(65_534);
  try {
    return await work();
  } finally {
    if (isRoot) process.seteuid?.(0);
  }
}

test('a folder that cannot be listed stops its files, and no others', async () => {
  await chmod(root, 0o755);
  await mkdir(at('shut'));
  await write('shut/in.ndjson', '{"n":2}\n');
  const { known } = await planOf('shut/in.ndjson');
  await chmod(at('shut'), 0o000);
  const says = /^file-unreadable: shut(\/in.ndjson)? cannot be read \(EACCES\)/;
  expect(await asOrdinaryUser(() => planAll([known]))).toEqual({
    'good.ndjson': 1,
    'shut/in.ndjson': expect.stringMatching(says),
    shut: expect.stringMatching(says),
  });
  expect(await asOrdinaryUser(() => planAll([], '*.ndjson'))).toEqual({ 'good.ndjson': 1 });
  await chmod(at('shut'), 0o755);
  expect(await planAll([known])).toEqual({ 'good.ndjson': 1, 'shut/in.ndjson': 0 });
});

test('a root that cannot be listed is unavailable, not empty', async () => {
  await chmod(root, 0o000);
  await asOrdinaryUser(async () => {
    await expect(planAll()).rejects.toMatchObject({ kind: 'source-unavailable' });
  });
});

test('a range that cannot be read now is waited for, not lost', async () => {
  await chmod(root, 0o755);
  const planned = await planOf('good.ndjson');
  await chmod(at('good.ndjson'), 0o000);
  await asOrdinaryUser(async () => {
    await expect(readAll(planned)).rejects.toMatchObject({
      kind: 'source-unavailable',
      message: expect.stringContaining('good.ndjson cannot be read (EACCES)'),
    });
  });
  await rename(at('good.ndjson'), at('moved.ndjson'));
  await asOrdinaryUser(async () => {
    await expect(readAll(planned)).rejects.toMatchObject({ kind: 'source-unavailable' });
  });
  await chmod(at('moved.ndjson'), 0o644);
  expect(await readAll(planned)).toBe(1);
});
