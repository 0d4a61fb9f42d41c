import { afterAll, beforeAll, expect, test } from 'vitest';
import { startInstance, type TestInstance } from '../support/instance.ts';

/** What a warehouse refuses for good stops one delivery under its name, and nothing else. */
const config = `
destinations: { warehouse: { type: postgres } }
sources:
  data:
    type: file
    root: data
    settleSeconds: 0
    streams:
      seen: { path: 'seen/*.ndjson' }
      free: { path: 'free/*.ndjson' }
      rounded: { path: 'rounded/*.ndjson' }
pipelines:
  data: { source: data, destinations: [warehouse] }
`;

let instance: TestInstance;

beforeAll(async () => {
  instance = await startInstance({ config });
  await write('seen', 'a', { id: 1, n: 1 });
  await write('free', 'a', { id: 1 });
  await write('rounded', 'a', { id: 1, n: 1.25 });
  await sync(0);
}, 120_000);
afterAll(() => instance?.[Symbol.asyncDispose]());

const write = (stream: string, file: string, row: object) =>
  instance.write(`data/${stream}/${file}.ndjson`, `${JSON.stringify(row)}\n`);

/** Answers what it says; a sync that does not end by itself has another text on stderr. */
async function sync(code: number): Promise<string> {
  const result = await instance.cli('sync', '--timeout', '60');
  expect(result.stderr).not.toContain('not settled');
  expect([result.code, result.stderr]).toEqual([code, expect.any(String)]);
  return result.stderr;
}

const rowsOf = async (table: string) =>
  (await instance.warehouse(`SELECT count(*)::int AS n FROM data.${table}`))[0]?.['n'];

test('a column that a view needs: its stream waits and says why, others load, sync tries again', async () => {
  await instance.warehouse('CREATE VIEW data.needs_n AS SELECT n FROM data.seen');
  // More than the window of a destination holds: those behind them must still get their turn.
  for (const [at, file] of ['b', 'c', 'd', 'e', 'f', 'g'].entries()) {
    await write('seen', file, { id: 10 + at, n: 1.5 });
  }
  await write('free', 'z', { id: 2 });
  const said = await sync(1);
  expect(said).toContain('the columns of data.seen cannot change');
  expect(said).toContain('run sync');
  expect(await rowsOf('free')).toBe(2);
  expect(await rowsOf('seen')).toBe(1);
  const { stdout } = await instance.cli('status');
  expect(stdout).toContain('the columns of data.seen cannot change');

  expect(await sync(1)).toContain('the columns of data.seen cannot change'); // asked again, told again
  await instance.warehouse('DROP VIEW data.needs_n');
  await sync(0);
  expect(await rowsOf('seen')).toBe(7);
}, 240_000);

test('a column that would round: no row is rounded, the reason is said, sync tries again', async () => {
  await instance.warehouse('ALTER TABLE data.rounded ALTER n TYPE numeric(6,2)');
  await write('rounded', 'b', { id: 2, n: 1.125 });
  await write('free', 'zz', { id: 3 });
  expect(await sync(1)).toContain('column n of data.rounded is numeric(6,2)');
  expect(await rowsOf('rounded')).toBe(1);
  expect(await rowsOf('free')).toBe(3);
  const [stopped] = await instance.catalog(
    `SELECT state, stop_kind FROM millrace.deliveries WHERE state <> 'settled'`,
  );
  expect(stopped).toEqual({ state: 'stopped', stop_kind: 'pin-outdated' });
  await instance.warehouse('ALTER TABLE data.rounded ALTER n TYPE numeric');
  await sync(0);
  expect(await instance.warehouse('SELECT n FROM data.rounded ORDER BY id')).toEqual([
    { n: '1.25' },
    { n: '1.125' },
  ]);
}, 240_000);
