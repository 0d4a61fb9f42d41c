import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startInstance, type TestInstance } from '../support/instance.ts';
import { queryAt } from '../support/postgres-server.ts';

const config = (grants: string) => `
destinations: { warehouse: { type: postgres${grants} } }
sources:
  data:
    type: file
    root: data
    settleSeconds: 0
    streams: { first: { path: 'first-*.ndjson' }, second: { path: 'second-*.ndjson' } }
pipelines:
  data: { source: data, destinations: [warehouse] }
`;

let instance: TestInstance;
beforeAll(async () => {
  instance = await startInstance({ config: config('') });
  await instance.write('data/first-1.ndjson', '{"n": 1}\n');
  await instance.json(['sync']);
}, 120_000);
afterAll(() => instance?.[Symbol.asyncDispose]());

async function asSuperuser(sql: string): Promise<void> {
  const url = new URL(instance.urls.destinations['warehouse'] ?? '');
  const file = join(instance.urls.home, 'postgres-superuser-password');
  [url.username, url.password] = ['postgres', (await readFile(file, 'utf8')).trim()];
  await queryAt(url.href, sql);
}

test('a role that is not there stops new tables alone, until it is made', async () => {
  await instance.write('millrace.yaml', config(', grants: { select: [analyst] }'));
  await instance.json(['apply']);
  const check = ['destination', 'check', 'warehouse'];
  expect((await instance.cli(...check)).stderr).toMatch(/no table can be made: .* "analyst"/);
  await instance.write('data/first-2.ndjson', '{"n": 2}\n');
  await instance.write('data/second-1.ndjson', '{"n": 1}\n');
  const { code, stderr } = await instance.cli('sync');
  expect({ code, stderr }).toMatchObject({ code: 1, stderr: /CREATE ROLE "analyst", or take it/ });
  expect((await instance.cli('status')).stdout).toContain('CREATE ROLE "analyst"');
  expect(await instance.warehouse('SELECT n::int FROM data.first ORDER BY n')).toEqual([
    { n: 1 },
    { n: 2 },
  ]);

  await asSuperuser(`CREATE ROLE analyst LOGIN PASSWORD 'reads'`);
  expect((await instance.cli(...check)).code).toBe(0);
  await instance.json(['sync']);
  const own = new URL(instance.urls.destinations['warehouse'] ?? '');
  [own.username, own.password] = ['analyst', 'reads'];
  expect(await queryAt(own.href, 'SELECT n::int FROM data.second')).toEqual([{ n: 1 }]);
  await expect(queryAt(own.href, 'SELECT n FROM data.first')).rejects.toThrow(/permission denied/);
  const audit = await instance.catalog<{ statement: string }>(
    `SELECT statement FROM millrace.ddl_log WHERE stream = 'second'`,
  );
  expect(audit.map(({ statement }) => statement)).toContain(
    'GRANT SELECT ON TABLE "data"."second" TO "analyst"',
  );
}, 120_000);
