import { existsSync } from 'node:fs';
import { mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fileStories, Folder } from '../support/file-stories.ts';
import { startInstance, type TestInstance } from '../support/instance.ts';
import { until } from '../support/until.ts';

const streams = Object.fromEntries(
  fileStories.map(({ settings }, at) => [`story${at}`, { path: `story${at}/*`, ...settings }]),
);
const plain = { type: 'file', root: 'data', settleSeconds: 1, maxDocumentBytes: 2048 };
const config = JSON.stringify({
  destinations: { warehouse: { type: 'postgres' } },
  sources: {
    stories: { ...plain, streams },
    odd: { ...plain, root: 'odd', path: '*' },
    lost: { ...plain, root: 'lost', path: '*.ndjson' },
  },
  pipelines: {
    stories: { source: 'stories', destinations: ['warehouse'] },
    odd: { source: 'odd', destinations: ['warehouse'] },
    lost: { source: 'lost', destinations: ['warehouse'] },
  },
});

interface SyncAnswer {
  readonly settled: boolean;
  readonly open: { readonly lost: number; readonly pending: number };
  readonly stoppedLanes: readonly { readonly lane: string; readonly message: string }[];
  readonly unread: readonly { readonly lane: string; readonly bytes: number }[];
}

let instance: TestInstance;
let marker: string;

beforeAll(async () => {
  instance = await startInstance({
    config,
    environment: { MILLRACE_ALLOW_FAULTS: '1', MILLRACE_FAILPOINTS: 'plan-committed=exit' },
  });
  for (const folder of ['data', 'odd', 'lost']) await mkdir(join(instance.directory, folder));
  marker = join(instance.urls.home, 'failpoints', 'plan-committed.1');
  await mkdir(join(instance.urls.home, 'failpoints'), { recursive: true });
  await writeFile(marker, ''); // as if it had fired
}, 120_000);
afterAll(() => instance[Symbol.asyncDispose]());

const folderOf = (name: string) => new Folder(join(instance.directory, name), name);
const sync = (source: string, codes: readonly number[] = [0]) =>
  instance.json<SyncAnswer>(['sync', source], codes);

async function numbersIn(table: string): Promise<readonly number[]> {
  const rows = await instance.warehouse<{ n: string; ids: string; all: string }>(
    `SELECT n, (count(*) OVER ())::text AS all,
            (SELECT count(DISTINCT _event_id) FROM ${table})::text AS ids
       FROM ${table} ORDER BY n`,
  );
  for (const { ids, all } of rows) expect(ids).toBe(all); // no event is there twice
  return rows.map(({ n }) => Number(n));
}

describe('files end as they should, no row lost or doubled:', () => {
  beforeAll(async () => {
    const rounds = Math.max(...fileStories.map(({ steps }) => steps.length));
    for (let round = 0; round < rounds; round += 1) {
      for (const [at, { steps }] of fileStories.entries()) {
        await steps[round]?.(folderOf(`data/story${at}`));
      }
      await sync('stories');
    }
  }, 240_000);

  test.each(fileStories.map(({ name, rows }, at) => [name, at, rows] as const))(
    '%s',
    async (_name, at, rows) => {
      expect(await numbersIn(`stories.story${at}`)).toEqual(rows);
    },
  );

  test('a sync that finds nothing new plans nothing', async () => {
    const count = () => instance.catalog(`SELECT count(*) FROM millrace.batches`);
    const before = await count();
    await sync('stories');
    expect(await count()).toEqual(before);
  });

  test('the catalog, the ledger and the tables agree on every lane', async () => {
    const lanes = await instance.catalog<{ lane: string; whole: boolean }>(
      `SELECT lane, count(*) = count(*) FILTER (WHERE joins) AS whole FROM
         (SELECT lane, from_position = coalesce(lag(to_position) OVER
                   (PARTITION BY source, lane ORDER BY plan_order), from_position) AS joins
            FROM millrace.batches) b GROUP BY lane`,
    );
    expect(lanes.filter(({ whole }) => !whole)).toEqual([]);
    const [{ loaded } = { loaded: '' }] = await instance.warehouse<{ loaded: string }>(
      `SELECT sum(rows_loaded)::text AS loaded FROM _millrace.ledger WHERE source = 'stories'`,
    );
    expect(Number(loaded)).toBe(fileStories.reduce((sum, { rows }) => sum + rows.length, 0));
  });
});

describe('a file that cannot be read', () => {
  test('of an unknown kind, or too large a document, stops alone under a clear message', async () => {
    const folder = folderOf('odd');
    await folder.write('good.ndjson', folder.lines(1, 2));
    await folder.write('notes.txt', 'no records at all\n');
    await folder.write('large.json', `[${'{"n":1},'.repeat(400)}{"n":2}]`);
    const { stoppedLanes } = await sync('odd', [1]);
    const said = new Map(stoppedLanes.map(({ lane, message }) => [lane, message]));
    expect([...said.keys()].toSorted()).toEqual(['large.json', 'notes.txt']);
    expect(said.get('notes.txt')).toContain('set format: ndjson, json, csv or tsv');
    expect(said.get('large.json')).toContain('write it as NDJSON');
    expect(await numbersIn('odd.good')).toEqual([1, 2]);
  });

  test('is forgotten once it is taken away: the sync is well again', async () => {
    await folderOf('odd').remove('notes.txt');
    await folderOf('odd').remove('large.json');
    expect((await sync('odd')).stoppedLanes).toEqual([]);
  });

  test('is refused when it is a link out of the root', async () => {
    await symlink('/etc/hostname', folderOf('odd').at('link.ndjson'));
    const result = await instance.cli('source', 'check', 'odd');
    expect(result.code).not.toBe(0);
    expect(result.stderr + result.stdout).toContain('link.ndjson is a link out of the root');
    await folderOf('odd').remove('link.ndjson');
  });
});

describe('a last line that rests and is no record', () => {
  const message = '6 bytes at the end of cut.ndjson are no complete record yet';

  test('is said to stand there by sync and status, as often as they are asked, and fails nothing', async () => {
    const folder = folderOf('odd');
    await folder.write('cut.ndjson', `${folder.lines(1)}{"n":2`);
    await folder.write('header.csv', 'n');
    const left = [
      { source: 'odd', lane: 'cut.ndjson', bytes: 6, message },
      { source: 'odd', lane: 'header.csv', bytes: 1 },
    ];
    expect((await sync('odd')).unread).toMatchObject(left);
    expect((await sync('odd')).unread).toMatchObject(left);
    const { code, stderr } = await instance.cli('sync', 'odd');
    expect({ code, stderr }).toMatchObject({ code: 0, stderr: expect.stringContaining(message) });
    expect((await instance.cli('status')).stdout).toContain(message);
    const rows = await instance.catalog(
      `SELECT unread_bytes::int AS bytes, unread_message AS message FROM millrace.lanes
        WHERE lane = 'cut.ndjson'`,
    );
    expect(rows).toEqual([{ bytes: 6, message }]);
    expect(await numbersIn('odd.cut')).toEqual([1]);
  });

  test('is no longer said once it is read, or its file is gone', async () => {
    await folderOf('odd').append('cut.ndjson', '}');
    await folderOf('odd').remove('header.csv');
    expect((await sync('odd')).unread).toEqual([]);
    expect(await numbersIn('odd.cut')).toEqual([1, 2]);
    expect((await instance.cli('status')).stdout).not.toContain('no complete record');
  });
});

test('a file that is deleted after it was planned and before it was read is lost, and said so', async () => {
  const folder = folderOf('lost');
  await folder.write('gone.ndjson', folder.lines(1, 2));
  await rm(marker);
  await instance.cli('sync', 'lost', '--no-wait');
  await until('the plan', async () => existsSync(marker)); // and with it the end of the worker
  await folder.remove('gone.ndjson');
  await folder.write('other.ndjson', folder.lines(3));
  const result = await instance.cli('sync', 'lost');
  expect(result.code).toBe(1);
  expect(result.stderr).toContain('1 deliveries are lost');
  expect(await numbersIn('lost.other')).toEqual([3]);
  const [lost] = await instance.catalog<{ state: string; stop_message: string }>(
    `SELECT b.state, d.stop_message FROM millrace.batches b JOIN millrace.deliveries d USING (batch_id)
      WHERE b.lane = 'gone.ndjson'`,
  );
  expect(lost).toMatchObject({ state: 'lost' });
  expect(lost?.stop_message).toContain('gone.ndjson was removed or rewritten before');

  await folder.write('gone.ndjson', folder.lines(1, 2)); // somebody brings it back
  // As a schedule does: no person asks for the source.
  await instance.catalog(
    `INSERT INTO millrace.wanted_syncs (source) VALUES ('lost') ON CONFLICT DO NOTHING`,
  );
  await until('its rows', async () => (await numbersIn('lost.gone').catch(() => [])).length === 2);
  expect(await numbersIn('lost.gone')).toEqual([1, 2]);
  expect((await instance.cli('sync', 'lost')).code).toBe(0);
});

test('what is lost for good is discarded by a person, with a line in the audit; nothing else can be', async () => {
  const folder = folderOf('lost');
  const content = folder.lines(4, 5);
  await folder.write('never.ndjson', content);
  await rm(marker);
  await instance.cli('sync', 'lost', '--no-wait');
  await until('the plan', async () => existsSync(marker));
  await folder.remove('never.ndjson');
  expect((await instance.cli('sync', 'lost')).stderr).toContain('"runs discard" gives one up');
  const list = (state: string) =>
    instance.json<{ batchId: string; state: string }[]>(['runs', 'list', '--state', state]);
  const [lost, ...others] = await list('lost');
  expect(others).toEqual([]);
  const id = lost?.batchId ?? '';

  expect((await instance.cli('runs', 'discard', id)).code).toBe(2); // without a reason
  const settled = (await list('settled')).find(({ state }) => state === 'settled')?.batchId ?? '';
  const refused = await instance.cli('runs', 'discard', settled, '--why', 'a mistake');
  expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('all are settled') });
  expect((await instance.cli('runs', 'discard', 'none', '--why', 'a mistake')).code).toBe(1);

  const why = 'its owner deleted it';
  const discard = () => instance.json(['runs', 'discard', id, '--why', why]);
  const bytes = Buffer.byteLength(content);
  const answer = { batchId: id, changed: true, destinations: ['warehouse'], events: null, bytes };
  expect(await discard()).toEqual(answer);
  expect(await discard()).toMatchObject({ changed: false, destinations: [] });
  const audit = await instance.catalog(
    `SELECT author, subject, details FROM millrace.decisions WHERE action = 'discard-lost'`,
  );
  expect(audit).toEqual([{ author: 'admin', subject: id, details: { why, deliveries: 1, bytes } }]);

  await folder.write('never.ndjson', content); // too late
  expect((await instance.cli('sync', 'lost')).code).toBe(0);
  expect((await instance.cli('status')).stdout).toContain('0 lost');
  expect((await instance.cli('runs', 'show', id)).stdout).toContain(`discarded: ${why}`);
  await expect(numbersIn('lost.never')).rejects.toThrow('does not exist');
});
