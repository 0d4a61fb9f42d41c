import { setTimeout as sleep } from 'node:timers/promises';
import { startInstance, type TestInstance } from '../test/support/instance.ts';
import { Ages, summarizeAges, type AgesSummary } from './ages.ts';
import { round, type BenchConsole, type CaseResult } from './case-result.ts';
import { median } from './median.ts';
import type { BenchOptions } from './options.ts';
import { connectShop, openShop } from './shop-database.ts';

const environment = { MILLRACE_PATIENCE: '1', MILLRACE_MAINTAIN_EVERY_MS: '60000' };

const warehouseOnly = 'destinations: { warehouse: { type: postgres } }';

const configuration = (url: string, seconds: number) => `
destinations: { warehouse: { type: postgres } }
sources:
  shop: { type: postgres, url: '${url}', tables: { public.orders: { cursor: updated_at } } }
pipelines:
  shop: { source: shop, destinations: [warehouse], write: merge, schedule: every ${seconds}s }
`;

const tables = `
CREATE TABLE orders (id int PRIMARY KEY, amount numeric NOT NULL, change int NOT NULL,
  updated_at timestamptz NOT NULL);
CREATE INDEX ON orders (updated_at);
INSERT INTO orders SELECT n, n, 0, now() FROM generate_series(1, 100000) n`;

const intervalSeconds = 10;
/** How much longer than the interval it may take. */
const graceSeconds = 5;
const changesPerSecond = 4;
const roundSeconds = 60;
const patienceMs = 60_000;

/**
 * How long after its COMMIT in the source a change stands in the table of the warehouse, where a
 * schedule alone brings it in. The longest of all counts.
 */
export async function runSchedule(
  { smoke, runs }: BenchOptions,
  { say, interrupted }: BenchConsole,
): Promise<CaseResult> {
  const seconds = smoke ? 5 : roundSeconds;
  const interval = smoke ? 2 : intervalSeconds;
  say('schedule: starting an instance');
  await using instance = await startInstance({ config: warehouseOnly, environment });
  const measure = async (): Promise<CaseResult> => {
    const url = await openShop(instance, tables);
    await instance.write('millrace.yaml', configuration(url, interval));
    await instance.json(['apply']);
    await instance.json(['sync', 'shop']); // makes the table that is looked at
    const measured: AgesSummary[] = [];
    for (let run = 1; run <= runs; run += 1) {
      const found = await measureRound(instance, url, { seconds, run });
      measured.push(found);
      say(`schedule: round ${run}: p95 ${found.p95Seconds} s, longest ${found.maxSeconds} s`);
    }
    const maxSeconds = Math.max(...measured.map((run) => run.maxSeconds));
    return {
      case: 'schedule',
      ratio: round((interval + graceSeconds) / maxSeconds, 3),
      p50Seconds: median(measured.map((run) => run.p50Seconds)),
      p95Seconds: median(measured.map((run) => run.p95Seconds)),
      maxSeconds,
      intervalSeconds: interval,
      changesPerSecond,
      changes: runs * seconds * changesPerSecond,
      runs: measured,
    };
  };
  return await Promise.race([measure(), interrupted]);
}

async function measureRound(
  instance: TestInstance,
  url: string,
  { seconds, run }: { seconds: number; run: number },
): Promise<AgesSummary> {
  const count = seconds * changesPerSecond;
  const first = (run - 1) * count + 1;
  // A row that changed twice shows its last change: so each change has a row of its own.
  const ages = new Ages({
    url: instance.urls.warehouseUrl,
    select: `SELECT change::int AS id FROM shop.orders WHERE change >= $1`,
    first,
    count,
    patienceMs: seconds * 1_000 + patienceMs,
  });
  await using shop = await connectShop(url);
  const change = async () => {
    const startedAt = performance.now();
    for (let n = 0; n < count; n += 1) {
      await sleep(Math.max(0, startedAt + (n * 1000) / changesPerSecond - performance.now()));
      await shop.client.query(
        `UPDATE orders SET change = $1, amount = amount + 1, updated_at = now() WHERE id = $1`,
        [first + n],
      );
      ages.began([first + n]);
    }
  };
  await Promise.all([ages.seen(), change()]);
  return summarizeAges(ages.all());
}
