import { afterAll, beforeAll, expect, test } from 'vitest';
import { startInstance, type TestInstance } from '../support/instance.ts';
import { postEvents } from '../support/post-events.ts';

/** Posted events are read again by when they were received. */
const config = `
destinations: { warehouse: { type: postgres } }
sources: { app: { type: http } }
pipelines: { app: { source: app, destinations: [warehouse] } }
`;

let instance: TestInstance;

beforeAll(async () => {
  instance = await startInstance({ config });
}, 180_000);
afterAll(() => instance?.[Symbol.asyncDispose]());

/** Posts numbers as one batch of their own; answers the time behind it. */
async function receive(...numbers: readonly number[]): Promise<string> {
  await postEvents(instance, { body: JSON.stringify(numbers.map((n) => ({ n }))) });
  await instance.json(['sync', 'app']);
  const [row] = await instance.catalog<{ now: string }>(
    `SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS now`,
  );
  return row?.now ?? '';
}

const numbers = async () =>
  (await instance.warehouse<{ n: string }>('SELECT n::text AS n FROM app.app ORDER BY app.n')).map(
    ({ n }) => Number(n),
  );

test('a time range of posted events is read again, and what is there is not doubled', async () => {
  await receive(1, 2);
  const from = await receive(3, 4);
  const to = await receive(5, 6);
  await receive(7, 8);
  await instance.warehouse('DELETE FROM app.app WHERE n <> 5');
  const backfill = ['backfill', 'app', '--stream', 'app'];
  expect(await instance.json([...backfill, '--from', from, '--to', to])).toMatchObject({
    batches: 1,
    rowsLoaded: 1,
    rowsDuplicate: 1,
  });
  expect(await numbers()).toEqual([5, 6]);
  await instance.json([...backfill, '--from', to]);
  expect(await numbers()).toEqual([5, 6, 7, 8]);
  await instance.json([...backfill, '--to', from]);
  expect(await numbers()).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
});

test('what is no time and no position is refused, and says what may be written', async () => {
  const backfill = ['backfill', 'app', '--stream', 'app', '--from'];
  for (const from of ['yesterday', '2026-02-30', '12']) {
    const { code, stderr } = await instance.cli(...backfill, from);
    expect({ code, stderr }).toMatchObject({ code: 2, stderr: /write 2026-11-26/ });
  }
  expect(await instance.cli(...backfill, '2999-01-01')).toMatchObject({
    code: 1,
    stderr: /nothing to read again/,
  });
});

test('a stream that there is not is named, with those that there are', async () => {
  const { code, stderr } = await instance.cli('backfill', 'app', '--stream', 'apq');
  expect({ code, stderr }).toMatchObject({ code: 1, stderr: /no stream apq \(streams: app\)/ });
});

test('what the intake has let go is left out, not counted as lost', async () => {
  await instance.catalog(`DELETE FROM millrace.intake_chunks WHERE chunk = 1`);
  const { lost, batches } = await instance.json<{ lost: number; batches: number }>([
    'resync',
    'app',
  ]);
  expect({ lost, batches }).toEqual({ lost: 0, batches: 3 });
});
