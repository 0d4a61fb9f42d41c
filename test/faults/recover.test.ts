import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { must } from '../../core/errors.ts';
import type { RecoveryAnswer } from '../../server/contract/recoveries.ts';
import { takeBackup } from '../support/backups.ts';
import { makeEvents } from '../support/event-senders.ts';
import { startInstance, type TestInstance } from '../support/instance.ts';
import { postEvents } from '../support/post-events.ts';
import { until } from '../support/until.ts';

let instance: TestInstance | undefined;
afterEach(async () => {
  await instance?.[Symbol.asyncDispose]();
  instance = undefined;
});

const toLines = (events: readonly unknown[]) =>
  events.map((event) => `${JSON.stringify(event)}\n`).join('');

const shopOf = (table: string) => `
destinations: { warehouse: { type: postgres } }
sources:
  shop: { type: file, settleSeconds: 0, streams: { orders: { path: "orders-*.ndjson" } } }
  other: { type: file, settleSeconds: 0, streams: { notes: { path: "notes-*.ndjson" } } }
pipelines:
  shop: { source: shop, destinations: [warehouse], streams: { orders: ${table} } }
  other: { source: other, destinations: [warehouse] }
`;

async function start(config: string, more: NodeJS.ProcessEnv = {}): Promise<TestInstance> {
  instance = await startInstance({
    config,
    environment: { MILLRACE_MAX_BATCH_BYTES: String(32 * 1024), ...more },
  });
  return instance;
}

const recover = (on: TestInstance, ...flags: string[]) =>
  on.json<RecoveryAnswer>(['recover', ...flags]);

const countOf = async (on: TestInstance, table: string) =>
  Number((await on.warehouse<{ count: string }>(`SELECT count(*) FROM ${table}`))[0]?.count);

interface SyncAnswer {
  readonly stoppedLanes: readonly { source: string; kind: string }[];
}

const held = async (on: TestInstance) =>
  (await on.json<SyncAnswer>(['sync'], [0, 1])).stoppedLanes.map(({ source, kind }) => [
    source,
    kind,
  ]);

/** Every table's rows as its ledger and the catalog count them. */
async function expectCountsAgree(on: TestInstance): Promise<void> {
  const sum = `SELECT batch_id, rows_loaded::int AS loaded, rows_superseded::int AS superseded`;
  const ledger = await on.warehouse(`${sum} FROM _millrace.ledger ORDER BY 1`);
  const catalog = await on.catalog(
    `${sum} FROM millrace.deliveries WHERE state = 'settled' ORDER BY 1`,
  );
  expect(catalog).toEqual(ledger);
  expect(await on.catalog(`SELECT FROM millrace.deliveries WHERE state <> 'settled'`)).toEqual([]);
}

test('a merge table: the newest version of every key, while another source goes on', async () => {
  const on = await start(shopOf('{ key: id, version: at }'));
  const newest = new Map<number, number>();
  const orders = (from: number, to: number) =>
    Array.from({ length: to - from }, (_, n) => {
      const at = (from + n) * 7_919;
      const id = at % 97;
      newest.set(id, Math.max(newest.get(id) ?? 0, at));
      return { id, at, state: `state ${at}` };
    });
  await on.write('orders-1.ndjson', toLines(orders(0, 3_000)));
  await on.json(['sync']);
  const backup = await takeBackup(on.urls.catalogUrl);
  await on.write('orders-2.ndjson', toLines(orders(3_000, 6_000)));
  await on.json(['sync']);
  await backup.restore();
  await on.write('orders-3.ndjson', toLines(orders(6_000, 7_000)));
  await on.write('notes-1.ndjson', toLines([{ id: 1 }, { id: 2 }]));
  expect(await held(on)).toEqual([['shop', 'backup-mismatch']]);
  expect(await countOf(on, 'other.notes')).toBe(2);
  await recover(on, '--source', 'shop');
  await on.json(['sync']);
  const rows = await on.warehouse<{ id: string; at: string }>('SELECT id, at FROM shop.orders');
  expect(new Map(rows.map(({ id, at }) => [Number(id), Number(at)]))).toEqual(newest);
  await expectCountsAgree(on);
}, 240_000);

test('a new catalog for an old warehouse: refused until it is adopted, then nothing is doubled', async () => {
  // The worker that knows the old installation must not meet the new catalog.
  const on = await start(shopOf('{ write: append }'), { MILLRACE_MAINTAIN_EVERY_MS: '600000' });
  const backup = await takeBackup(on.urls.catalogUrl);
  const orders = (from: number, to: number) =>
    toLines(Array.from({ length: to - from }, (_, n) => ({ id: from + n, note: 'x'.repeat(50) })));
  await on.write('orders-1.ndjson', orders(0, 3_000));
  await on.json(['sync']);
  await backup.change('UPDATE millrace.installation SET id = gen_random_uuid()');
  await backup.restore();
  await on.cli('down');
  await rm(join(on.urls.home, 'temporal'), { recursive: true });
  await on.up();
  await on.write('orders-2.ndjson', orders(3_000, 3_500));
  await on.json(['sync', '--no-wait']);
  await until('a plan that is refused', async () => {
    const [row] = await on.catalog(`SELECT FROM millrace.extracts`);
    return row !== undefined;
  });
  expect(await countOf(on, 'shop.orders')).toBe(3_000);
  const would = await recover(on, '--adopt', '--dry-run', '--source', 'shop');
  expect(would.sources[0]?.takenOver).toBeGreaterThan(0);
  const [did] = (await recover(on, '--adopt', '--source', 'shop')).sources;
  expect(did).toMatchObject({ takenOver: would.sources[0]?.takenOver, conflicts: [] });
  await on.json(['sync']);
  expect(await countOf(on, 'shop.orders')).toBe(3_500);
  expect(await countOf(on, '(SELECT DISTINCT id FROM shop.orders) AS ids')).toBe(3_500);
  await expectCountsAgree(on);
}, 240_000);

const app = `
destinations: { warehouse: { type: postgres } }
sources: { app: { type: http } }
pipelines: { app: { source: app, destinations: [warehouse] } }
`;

test('an intake: what was answered after the restore is kept, under numbers that no ledger has', async () => {
  const on = await start(app);
  const post = async (from: number, to: number) => {
    const body = `[${makeEvents(from, to)
      .map((event) => event.body)
      .join(',')}]`;
    return (await postEvents(on, { body })).status;
  };
  const loaded = () => on.warehouse<{ n: number }>('SELECT n::int FROM app.app ORDER BY n');
  const untilLoaded = (count: number) =>
    until(`${count} events`, async () => {
      const rows = await loaded().catch(() => []);
      return rows.length === count && rows;
    });
  // Without numbers that makeEvents spoils.
  expect(await post(1, 41)).toBe(202);
  await untilLoaded(40);
  const backup = await takeBackup(on.urls.catalogUrl);
  for (let n = 41; n < 81; n += 10) expect(await post(n, n + 10)).toBe(202);
  await untilLoaded(80);
  const worker = await on.pidOf('worker');
  process.kill(worker, 'SIGSTOP'); // nobody compares yet
  await backup.restore();
  await until('an answer', async () => (await post(81, 91).catch(() => 0)) === 202);
  process.kill(worker, 'SIGCONT');
  await until('the stop', async () => (await post(91, 96)) === 503);
  const { renumberedChunks, adopted } = must((await recover(on)).sources[0]);
  expect(Math.min(renumberedChunks, adopted)).toBeGreaterThan(0);
  await until('an answer', async () => (await post(91, 96)) === 202);
  await on.json(['sync']);
  const events = (await loaded()).map(({ n }) => n);
  expect(events).toEqual([...new Set(events)]);
  expect(events.slice(0, 90)).toEqual(Array.from({ length: 90 }, (_, at) => at + 1));
  expect(await post(96, 97)).toBe(202);
  await untilLoaded(96);
  await expectCountsAgree(on);
}, 240_000);
