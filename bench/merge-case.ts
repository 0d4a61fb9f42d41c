import { setTimeout as sleep } from 'node:timers/promises';
import { startInstance, type TestInstance } from '../test/support/instance.ts';
import { round, type BenchConsole, type CaseResult } from './case-result.ts';
import { openFloor, type Floor } from './floor.ts';
import { median } from './median.ts';
import type { BenchOptions } from './options.ts';
import { treeCpuSeconds } from './process-tree.ts';
import { openShop, queryShop } from './shop-database.ts';

/** Settings as for everybody: tests set some of them low. */
const environment = { MILLRACE_PATIENCE: '1', MILLRACE_MAINTAIN_EVERY_MS: '60000' };

const warehouseOnly = 'destinations: { warehouse: { type: postgres } }';

const configuration = (url: string) => `
destinations: { warehouse: { type: postgres } }
sources:
  shop: { type: postgres, url: '${url}', tables: { public.orders: { cursor: updated_at } } }
pipelines: { shop: { source: shop, destinations: [warehouse], write: merge } }
`;

const table = 'shop.orders';
/** Rows younger than the lag of the source are not read yet: the wait for it is no work. */
const lagMs = 3_000;

interface Loaded {
  readonly seconds: number;
  /** Of the whole instance: worker, server, Temporal, PostgreSQL. */
  readonly cpuSeconds: number;
}

interface MergeRun extends Loaded {
  readonly [fact: string]: number;
  readonly floorSeconds: number;
}

/**
 * Rows of a PostgreSQL table that were all updated → newer rows of a merged table, from `sync` on a
 * running instance until all is settled, beside one COPY and one INSERT … ON CONFLICT of the same
 * rows into the same table.
 */
export async function runMerge(
  { events, runs }: BenchOptions,
  { say, interrupted }: BenchConsole,
): Promise<CaseResult> {
  const rows = Math.ceil(events / 2);
  say('merge: starting an instance');
  await using instance = await startInstance({ config: warehouseOnly, environment });
  const measure = async (): Promise<CaseResult> => {
    const url = await openShop(instance, createOrders(rows));
    await instance.write('millrace.yaml', configuration(url));
    await instance.json(['apply']);
    await using floor = await openFloor(instance);
    await load(instance, floor, { run: 0, rows });
    await floor.keepMerged(table);
    const measured: MergeRun[] = [];
    for (let run = 1; run <= runs + 1; run += 1) {
      await update(url, run);
      const ours = await load(instance, floor, { run, rows });
      await floor.keepRows(table);
      const floorSeconds = round(await floor.measureMerge(run, 'id'));
      if (run > 1) measured.push({ floorSeconds, ...ours }); // the first one warms up
      say(`merge: run ${run}: floor ${floorSeconds} s, ours ${ours.seconds} s`);
    }
    await expectSame(floor, runs + 1);
    return summarize(measured, rows);
  };
  return await Promise.race([measure(), interrupted]);
}

function createOrders(rows: number): string {
  return `
    CREATE TABLE orders (
      id bigint PRIMARY KEY, run int NOT NULL, customer text NOT NULL, city text, amount numeric NOT NULL,
      quantity int NOT NULL, weight double precision, paid boolean NOT NULL, ordered_at timestamptz NOT NULL,
      note text, updated_at timestamptz NOT NULL) WITH (fillfactor = 50);
    CREATE INDEX ON orders (updated_at);
    INSERT INTO orders SELECT n, 0, md5(n::text), 'city ' || n % 997, n * 0.01, n % 9, n / 7.0,
      n % 3 > 0, '2026-01-01'::timestamptz + n * interval '1 second',
      repeat('left at the door ', (n % 3)::int), clock_timestamp() FROM generate_series(1, ${rows}) n`;
}

/** Every row once, each with a time of its own: the source cuts between times. */
async function update(url: string, run: number): Promise<void> {
  await queryShop(url, [
    `UPDATE orders SET run = ${run}, amount = amount + 0.01, note = 'run ${run}',
        updated_at = clock_timestamp()`,
    'VACUUM ANALYZE orders',
  ]);
}

/** Brings the updates of a run in, and looks whether every row is there, newest and once. */
async function load(
  instance: TestInstance,
  floor: Floor,
  { run, rows }: { run: number; rows: number },
): Promise<Loaded> {
  if (run > 0) await floor.ask(`VACUUM ANALYZE ${table}`);
  await sleep(lagMs);
  await floor.checkpoint();
  const cpuBefore = treeCpuSeconds(instance.urls.pid);
  const startedAt = performance.now();
  await instance.json(['sync', 'shop']);
  const seconds = (performance.now() - startedAt) / 1000;
  const cpuSeconds = treeCpuSeconds(instance.urls.pid) - cpuBefore;
  const found = await floor.ask(
    `SELECT concat(count(*), ' rows, ', count(*) FILTER (WHERE run = ${run}), ' new') FROM ${table}`,
  );
  if (found !== `${rows} rows, ${rows} new`) throw new Error(`${table} holds ${found} of ${rows}`);
  return { seconds: round(seconds), cpuSeconds: round(cpuSeconds) };
}

/** A floor that does less would be a bar for nothing. */
async function expectSame(floor: Floor, runs: number): Promise<void> {
  const rows = await floor.ask(`SELECT count(*) FROM (TABLE floor EXCEPT TABLE ${table}) AS other`);
  const ledger = await floor.ask('SELECT count(*) FROM floor_ledger WHERE rows > 0');
  if (rows !== '0' || ledger !== String(runs)) throw new Error('the floor holds other rows');
}

function summarize(runs: readonly MergeRun[], rows: number): CaseResult {
  const seconds = median(runs.map((run) => run.seconds));
  const cpuSeconds = median(runs.map((run) => run.cpuSeconds));
  return {
    case: 'merge',
    ratio: round(median(runs.map((run) => run.floorSeconds / run.seconds)), 3),
    seconds,
    floorSeconds: median(runs.map((run) => run.floorSeconds)),
    rowsPerSecond: Math.round(rows / seconds),
    cpuSecondsPerMillionRows: round((cpuSeconds / rows) * 1e6),
    rows,
    runs,
  };
}
