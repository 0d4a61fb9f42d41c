import { once } from 'node:events';
import { mkdir, rename, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { spawnCli, startInstance, type TestInstance } from '../support/instance.ts';
import { until } from '../support/until.ts';

const config = `
destinations: { warehouse: { type: postgres } }
sources:
  files: { type: file, root: data, path: '*.{csv,csv.gz}', settleSeconds: 0 }
pipelines:
  files: { source: files, destinations: [warehouse] }
`;

let instance: TestInstance;

beforeAll(async () => {
  instance = await startInstance({ config });
  await mkdir(join(instance.directory, 'data'), { recursive: true });
});
afterAll(() => instance[Symbol.asyncDispose]());

const count = async (table: string) =>
  (await instance.warehouse<{ count: string }>(`SELECT count(*) FROM files.${table}`))[0]?.count;

test('a file that cannot be read stops its lane alone, under a name, until it is mended', async () => {
  await instance.write('data/good.csv', 'id,name\n1,one\n2,two\n');
  await instance.write('data/bad.csv.gz', 'this is no gzip at all');
  const result = await instance.cli('sync');
  expect(result.stderr).toContain('bad.csv.gz is not sound gzip');
  expect(result.code).toBe(1);
  expect(await count('good')).toBe('2');

  await instance.write('data/bad.csv.gz', gzipSync('id,name\n7,seven\n'));
  expect((await instance.cli('sync')).code).toBe(0);
  expect(await count('bad')).toBe('1');
});

test('a link out of the root stops its lane alone, under its name, until it is removed', async () => {
  const link = join(instance.directory, 'data', 'link.csv');
  await symlink('/etc/hostname', link);
  await instance.write('data/good.csv', 'id,name\n1,one\n2,two\n3,three\n');
  const result = await instance.cli('sync');
  expect(result.stderr).toContain('link.csv is a link out of the root');
  expect(result.code).toBe(1);
  expect(await count('good')).toBe('3');
  await rm(link);
  expect((await instance.cli('sync')).code).toBe(0);
});

test('the sync says what holds it up while the source cannot be planned, and goes on after that', async () => {
  const data = join(instance.directory, 'data');
  const away = `${data}-away`;
  await instance.write('data/good.csv', 'id,name\n1,one\n2,two\n3,three\n4,four\n');
  await rename(data, away);
  const sync = spawnCli(['sync'], instance.directory, instance.environment);
  let said = '';
  sync.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
  const ended = once(sync, 'exit');
  await until('the obstacle', async () => said.includes('data is not there'));
  await rename(away, data);
  expect(await ended).toEqual([0, null]);
  expect(await count('good')).toBe('4');
});
