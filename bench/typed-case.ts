import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ensureDatabase } from '../local/postgres-databases.ts';
import { startInstance, type TestInstance } from '../test/support/instance.ts';
import { peakRssMiB } from '../test/support/peak-memory.ts';
import { round, type BenchConsole, type CaseResult } from './case-result.ts';
import { median } from './median.ts';
import type { BenchOptions } from './options.ts';
import { PipeFloor } from './pipe-floor.ts';
import { treeCpuSeconds } from './process-tree.ts';

/** Settings as for everybody: tests set some of them low. */
const environment = { MILLRACE_PATIENCE: '1', MILLRACE_MAINTAIN_EVERY_MS: '60000' };

const config = (url: string) => `
destinations: { warehouse: { type: postgres } }
sources: { shop: { type: postgres, url: ${url}, tables: { 'public.*': { cursor: id } } } }
pipelines: { shop: { source: shop, destinations: [warehouse] } }
`;

const columns = `id bigint PRIMARY KEY, customer uuid, amount numeric(12,2), quantity integer,
  ratio float8, placed_at timestamptz, shipped date, paid boolean, state text, note text`;

/** About 150 bytes a row as text. */
const rowsOf = (count: number) => `
  SELECT n, md5(n::text)::uuid, (n % 100000) * 0.01, n % 50, n / 7.0::float8,
         timestamptz '2026-01-01 00:00Z' + n * interval '250 ms', date '2026-01-01' + (n % 365)::int,
         n % 3 = 0, (ARRAY['new', 'packed', 'sent', 'returned'])[1 + n % 4],
         'steady after calibration, no drift seen in lot ' || n % 977
    FROM generate_series(1::bigint, ${count}) AS n`;

interface TypedRun {
  readonly [fact: string]: number;
  readonly floorSeconds: number;
  readonly seconds: number;
  /** Of the whole instance, the source among it: worker, server, Temporal, PostgreSQL. */
  readonly cpuSeconds: number;
}

/**
 * Rows of one PostgreSQL database into another, from `sync` on a running instance until all is
 * settled, beside a COPY pipe with a staging table, in turns on the same server. A run before them
 * warms both up. Every run loads a table that is new to Millrace, with a key: it is merged.
 */
export async function runTypedCase(options: BenchOptions, console: BenchConsole) {
  console.say('typed: starting an instance');
  await using instance = await startInstance({
    config: 'destinations: { warehouse: { type: postgres } }\n',
    environment,
  });
  return await Promise.race([measure(instance, options, console.say), console.interrupted]);
}

async function measure(
  instance: TestInstance,
  { events, runs }: BenchOptions,
  say: BenchConsole['say'],
): Promise<CaseResult> {
  const base = new URL(instance.urls.catalogUrl);
  base.pathname = '';
  const sourceUrl = await ensureDatabase(base.href.replace(/\/$/, ''), 'bench_source');
  await instance.write('millrace.yaml', config(sourceUrl));
  await instance.cli('apply');
  await using floor = await openFloor(instance, sourceUrl);
  const measured: TypedRun[] = [];
  for (let run = 0; run <= runs; run += 1) {
    const table = `run${run}`;
    await floor.atSource(
      `CREATE TABLE ${table} (${columns}); INSERT INTO ${table} ${rowsOf(events)}`,
    );
    await floor.atSource(`VACUUM (ANALYZE) ${table}`);
    const floorSeconds = round(await floor.measure(table, columns));
    const ours = await load(instance, floor, { events, table });
    if (run > 0) measured.push({ floorSeconds, ...ours });
    say(
      `typed: ${run === 0 ? 'warm-up' : `run ${run}`}: floor ${floorSeconds} s, ours ${ours.seconds} s`,
    );
    await floor.atSource(`TRUNCATE ${table}`);
  }
  await assertTyped(instance);
  return summarize(measured, {
    events,
    postgres: await floor.ask('SHOW server_version'),
    peakRssMiB: Math.round(await peakRssMiB(await instance.pidOf('worker'))),
  });
}

/** Loads a new table, and looks whether every row is there once, with every value. */
async function load(
  instance: TestInstance,
  floor: PipeFloor,
  { events, table }: { readonly events: number; readonly table: string },
): Promise<{ readonly seconds: number; readonly cpuSeconds: number }> {
  await floor.checkpoint();
  const cpuBefore = treeCpuSeconds(instance.urls.pid);
  const startedAt = performance.now();
  await instance.json(['sync', 'shop']);
  const seconds = (performance.now() - startedAt) / 1000;
  const cpuSeconds = treeCpuSeconds(instance.urls.pid) - cpuBefore;
  const sums = `concat(count(*), ' rows, ', sum(id), ' ', sum(amount), ' ', sum(ratio::text::numeric), ' ', count(DISTINCT customer))`;
  const found = await floor.ask(`SELECT ${sums} FROM shop.${table}`);
  const expected = await floor.askSource(`SELECT ${sums} FROM ${table}`);
  if (found !== expected || !found.startsWith(`${events} rows`)) {
    throw new Error(`shop.${table} holds ${found}; its source holds ${expected}`);
  }
  return { seconds: round(seconds), cpuSeconds: round(cpuSeconds) };
}

/** What is measured is the typed road: a batch that left it would say so here. */
async function assertTyped(instance: TestInstance): Promise<void> {
  const roads = await instance.catalog<{ road: string }>(
    `SELECT DISTINCT road FROM millrace.batches WHERE source = 'shop'`,
  );
  if (roads.length === 1 && roads[0]?.road === 'typed') return;
  throw new Error(`batches took the roads ${roads.map(({ road }) => road).join(', ')}`);
}

async function openFloor({ urls }: TestInstance, sourceUrl: string): Promise<PipeFloor> {
  const warehouseUrl = urls.destinations['warehouse'] ?? '';
  const superuser = new URL(warehouseUrl);
  superuser.username = 'postgres';
  const password = await readFile(join(urls.home, 'postgres-superuser-password'), 'utf8');
  superuser.password = password.trim();
  return PipeFloor.open({ sourceUrl, warehouseUrl, superuserUrl: superuser.href });
}

function summarize(
  runs: readonly TypedRun[],
  { events, ...facts }: { events: number; postgres: string; peakRssMiB: number },
): CaseResult {
  const seconds = median(runs.map((run) => run.seconds));
  const cpuSeconds = median(runs.map((run) => run.cpuSeconds));
  return {
    case: 'typed',
    ratio: round(median(runs.map((run) => run.floorSeconds / run.seconds)), 3),
    seconds,
    floorSeconds: median(runs.map((run) => run.floorSeconds)),
    rowsPerSecond: Math.round(events / seconds),
    cpuSecondsPerMillionEvents: round((cpuSeconds / events) * 1e6),
    events,
    ...facts,
    runs,
  };
}
