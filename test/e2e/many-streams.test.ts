import { afterAll, beforeAll, expect, test } from 'vitest';
import { startInstance, type TestInstance } from '../support/instance.ts';
import { postEvents } from '../support/post-events.ts';
import { until } from '../support/until.ts';

/** Types of events that are data: each would be a table. */
const most = 5;
const config = `
destinations: { warehouse: { type: postgres } }
sources: { app: { type: http, eventTypeField: kind } }
pipelines: { app: { source: app, destinations: [warehouse] } }
`;

let instance: TestInstance;
beforeAll(async () => {
  instance = await startInstance({
    config,
    environment: { MILLRACE_MAX_STREAMS: String(most) },
  });
}, 120_000);
afterAll(() => instance?.[Symbol.asyncDispose]());

async function send(from: number, to: number): Promise<void> {
  const events = Array.from({ length: to - from }, (_, n) => ({
    kind: `k${from + n}`,
    n: from + n,
  }));
  expect((await postEvents(instance, { body: JSON.stringify(events) })).status).toBe(202);
}

const tables = async () =>
  (
    await instance.warehouse<{ name: string }>(
      `SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'app' ORDER BY 1`,
    )
  ).map(({ name }) => name);

const places = async () => {
  const [failed] = await instance.catalog<{ events: number; kinds: string[]; raws: string[] }>(
    `SELECT count(*)::int AS events, array_agg(DISTINCT kind) AS kinds,
            array_agg(convert_from(raw, 'UTF8') ORDER BY raw) AS raws
       FROM millrace.failed_events WHERE state = 'open'`,
  );
  let loaded = 0;
  for (const name of await tables()) {
    const [row] = await instance.warehouse<{ rows: number }>(
      `SELECT count(*)::int AS rows FROM app."${name}"`,
    );
    loaded += row?.rows ?? 0;
  }
  return { loaded, failed: failed?.events ?? 0, kinds: failed?.kinds ?? [], raws: failed?.raws };
};

const untilAllArrived = (count: number) =>
  until(`${count} events`, async () => {
    const found = await places();
    return found.loaded + found.failed === count && found;
  });

test('events of streams beyond the limit go to review, in one group, and the others load', async () => {
  await send(0, 3);
  await untilAllArrived(3);
  await send(0, 40); // in one batch: two more get a table
  const found = await untilAllArrived(43);
  expect(found).toMatchObject({ loaded: 3 + most, failed: 35, kinds: ['unmapped-stream'] });
  expect(await tables()).toEqual(['k0', 'k1', 'k2', 'k3', 'k4']);
  await send(2, 7);
  expect(await untilAllArrived(48)).toMatchObject({ loaded: 11, failed: 37 });
  expect(await tables()).toHaveLength(most);
  expect(found.raws?.[0]).toBe('{"kind":"k10","n":10}');
  const groups = await instance.json<{ stream: string; openCount: number }[]>(['failed', 'list']);
  expect(groups).toMatchObject([{ stream: '*', openCount: 37 }]);
  const counts = await instance.catalog(
    `SELECT sum(rows_loaded)::int AS loaded, sum(rows_failed)::int AS failed FROM millrace.deliveries`,
  );
  expect(counts).toEqual([{ loaded: 11, failed: 37 }]);
}, 120_000);

test('once there is room a retry loads them, each into its table', async () => {
  await instance.cli('down');
  instance.environment['MILLRACE_MAX_STREAMS'] = '100';
  await instance.up();
  const [group] = await instance.json<{ groupId: string }[]>(['failed', 'list']);
  await instance.json(['failed', 'retry', group?.groupId ?? '']);
  expect(await untilAllArrived(48)).toMatchObject({ loaded: 48, failed: 0 });
  expect(await tables()).toHaveLength(40);
}, 180_000);
