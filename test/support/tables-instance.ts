import { existsSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { failpoints, type Failpoint } from '../../core/failpoints.ts';
import { ensureDatabase } from '../../local/postgres-databases.ts';
import { startInstance, type TestInstance } from './instance.ts';
import { queryAt } from './postgres-server.ts';
import { auditTables, type AuditedTable } from './table-audit.ts';

const config = (url: string) => `
destinations: { warehouse: { type: postgres } }
sources:
  shop:
    type: postgres
    url: ${url}
    tables:
      public.orders: { cursor: updated_at, lag: 0s }
      public.visits: { cursor: id }
      public.prices:
pipelines:
  shop:
    source: shop
    destinations: [warehouse]
    streams: { visits: { write: append } }
`;

const tables = `
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, amount numeric(12,2) NOT NULL,
  state text NOT NULL, details jsonb, updated_at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE INDEX ON orders (updated_at);
CREATE TABLE visits (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, page text, seconds float8,
  at timestamptz DEFAULT now());
CREATE TABLE prices (sku text PRIMARY KEY, price numeric(10,2));`;

const changes = (count: number) => `
UPDATE orders SET amount = amount + 1, updated_at = clock_timestamp() WHERE id % 7 = 0;
INSERT INTO orders (amount, state, details)
  SELECT n * 0.01, 'new', jsonb_build_object('n', n) FROM generate_series(1, ${count}) n;
INSERT INTO visits (page, seconds)
  SELECT E'/a\\\\b\\t' || n, n / 3.0 FROM generate_series(1, ${count}) n`;

export const audited: readonly AuditedTable[] = [
  {
    name: 'orders',
    mode: 'merge',
    columns: ['id', 'amount', 'state', 'details::text', 'extract(epoch FROM updated_at)'],
  },
  {
    name: 'visits',
    mode: 'append',
    columns: ['id', 'page', 'seconds::text::numeric', 'extract(epoch FROM at)'],
  },
  { name: 'prices', mode: 'replace', columns: ['sku', 'price'] },
];

/** An instance that follows the tables of a shop: merged, appended, replaced. */
export interface TablesInstance extends AsyncDisposable {
  readonly instance: TestInstance;
  readonly sourceUrl: string;
  /** New rows in orders and visits, and changes to old ones. */
  write(count: number): Promise<void>;
  /** The same, with all prices anew: they are read with the next sync. */
  writeAll(count: number): Promise<void>;
  sync(codes?: readonly number[]): Promise<void>;
  /** The worker is to die at this point, once. */
  arm(name: Failpoint): Promise<void>;
  hasFired(name: Failpoint): boolean;
  /** Roads of the batches that were planned since the last call, by number. */
  roads(): Promise<Readonly<Record<string, number>>>;
  audit(): Promise<void>;
}

export async function startTables(environment: NodeJS.ProcessEnv = {}): Promise<TablesInstance> {
  const names = Object.keys(failpoints);
  const instance = await startInstance({
    config: 'destinations: { warehouse: { type: postgres } }\n',
    environment: {
      MILLRACE_PATIENCE: '0.05',
      MILLRACE_MAX_BATCH_BYTES: String(32 * 1024),
      MILLRACE_ALLOW_FAULTS: '1',
      MILLRACE_FAILPOINTS: names.map((name) => `${name}=exit`).join(','),
      ...environment,
    },
  });
  const marker = (name: string) => join(instance.urls.home, 'failpoints', `${name}.1`);
  const base = new URL(instance.urls.catalogUrl);
  base.pathname = '';
  const sourceUrl = await ensureDatabase(base.toString().replace(/\/$/, ''), 'shop');
  let planned = 0;
  const started: TablesInstance = {
    instance,
    sourceUrl,
    write: (count) => queryAt(sourceUrl, changes(count)).then(() => undefined),
    async writeAll(count) {
      await queryAt(sourceUrl, changes(count));
      await queryAt(
        sourceUrl,
        `BEGIN; DELETE FROM prices;
         INSERT INTO prices SELECT 'sku ' || n, n FROM generate_series(1, ${count}) n; COMMIT`,
      );
    },
    async sync(codes = [0]) {
      await instance.json(['sync'], codes);
    },
    arm: (name) => rm(marker(name)),
    hasFired: (name) => existsSync(marker(name)),
    async roads() {
      const rows = await instance.catalog<{ road: string; batches: number; last: number }>(
        `SELECT coalesce(road, 'none') AS road, count(*)::int AS batches, max(plan_order)::int AS last
           FROM millrace.batches WHERE source = 'shop' AND plan_order > $1 GROUP BY 1`,
        [planned],
      );
      planned = Math.max(planned, ...rows.map(({ last }) => last));
      return Object.fromEntries(rows.map(({ road, batches }) => [road, batches]));
    },
    audit: () =>
      auditTables({
        sourceUrl,
        warehouseUrl: instance.urls.destinations['warehouse'] ?? '',
        catalogUrl: instance.urls.catalogUrl,
        source: 'shop',
        tables: audited,
      }),
    [Symbol.asyncDispose]: () => instance[Symbol.asyncDispose](),
  };
  try {
    await mkdir(join(instance.urls.home, 'failpoints'));
    for (const name of names) await writeFile(marker(name), '');
    await queryAt(sourceUrl, tables);
    await instance.write('millrace.yaml', config(sourceUrl));
    await instance.cli('apply');
  } catch (error) {
    await instance[Symbol.asyncDispose]();
    throw error;
  }
  return started;
}
