import pg from 'pg';
import { expect } from 'vitest';
import {
  busyColumns,
  createBusyOrders,
  writeBusyOrders,
  type BusyCounts,
  type BusyOrders,
} from './busy-orders.ts';
import { startInstance, type TestInstance } from './instance.ts';
import { queryAt, startPostgres } from './postgres-server.ts';
import { until } from './until.ts';

/** Of anything that is waited for: machines may be busy with much else. */
const deadlineMs = 600_000;

export interface MergeStory {
  readonly keys: number;
  readonly updates: number;
  /** Times the worker is killed in the middle; as often all sessions are ended. */
  readonly kills: number;
  readonly lagMs: number;
}

const config = (url: string, lagMs: number) => `
destinations:
  warehouse: { type: postgres }
sources:
  shop:
    type: postgres
    url: ${url}
    tables:
      public.orders: { cursor: updated_at, lag: ${lagMs}ms }
      public.visits: { cursor: id }
pipelines:
  shop: { source: shop, destinations: [warehouse], schedule: every 1s }
`;

type Stream = keyof typeof busyColumns;
const streams = Object.keys(busyColumns) as Stream[];

/**
 * Rows are updated from many sides while batches run, die and repeat; some versions are refused and
 * restreamed when newer ones are there. When all is calm again the tables are the source's.
 * Answers how long it took to drain by itself.
 */
export async function tellMergeStory(story: MergeStory): Promise<{ drainedMs: number }> {
  await using server = await startPostgres(undefined, { max_prepared_transactions: '5' });
  const url = await server.createDatabase('shop');
  const orders: BusyOrders = { url, ...story };
  await createBusyOrders(orders);
  await using instance = await startInstance({
    config: config(url, story.lagMs),
    environment: { MILLRACE_MAX_BATCH_BYTES: String(64 * 1024) },
  });
  const refusal = await refuseHeldOrders(instance);
  const counts: BusyCounts = { updates: 0, held: 0, prepared: 0 };
  const pace = new Pace(story);
  const watching = new AbortController();
  const watched = watchVersions(instance, watching.signal);
  const writing = writeBusyOrders(orders, counts, (updates) => pace.allow(updates));
  const disturbing = disturb(instance, { ...story, url, counts, pace, refusal });
  await Promise.all([writing, disturbing]);
  expect(counts.held).toBeGreaterThan(2);
  expect(counts.prepared).toBeGreaterThan(0);
  const calm = Date.now();
  await untilSame(instance, url);
  const drainedMs = Date.now() - calm;
  watching.abort();
  const { looks, wentBack } = await watched;
  expect(wentBack).toEqual([]);
  expect(looks).toBeGreaterThan(10);
  await expectSame(instance, url);
  expect(await doubled(instance)).toEqual([]);
  expect(await unaccounted(instance)).toEqual([]);
  return { drainedMs };
}

/** Lets writers go on only so far ahead of the faults that these hit the middle of the work. */
class Pace {
  readonly #step: number;
  #steps = 1;
  #next = Promise.withResolvers<void>();

  constructor({ updates, kills }: MergeStory) {
    this.#step = updates / (2 * kills + 1);
  }

  async allow(updates: number): Promise<void> {
    while (updates >= this.reached) await this.#next.promise;
  }

  get reached(): number {
    return this.#steps * this.#step;
  }

  step(): void {
    this.#steps += 1;
    this.#next.resolve();
    this.#next = Promise.withResolvers();
  }
}

interface Disturbance extends MergeStory {
  readonly url: string;
  readonly counts: BusyCounts;
  readonly pace: Pace;
  readonly refusal: Refusal;
}

/** Kills the worker inside a load, and ends all sessions inside one, by turns. */
async function disturb(instance: TestInstance, story: Disturbance): Promise<void> {
  const { url, counts, pace, kills, refusal } = story;
  for (let turn = 0; turn < 2 * kills; turn += 1) {
    const enough = async () => counts.updates >= 0.9 * pace.reached;
    await until('the writers to go on', enough, deadlineMs);
    await until('a load to be inside', () => isLoading(instance), deadlineMs);
    if (turn % 2 === 0) process.kill(await instance.pidOf('worker'), 'SIGKILL');
    else await endSessions(instance, url);
    if (turn === kills) await refusal.lift();
    pace.step();
  }
}

async function isLoading(instance: TestInstance): Promise<boolean> {
  const found = await instance.warehouse(
    `SELECT FROM pg_stat_activity WHERE datname = current_database() AND xact_start IS NOT NULL
        AND application_name LIKE 'millrace-load-%' AND pid <> pg_backend_pid()`,
  );
  return found.length > 0;
}

async function endSessions(instance: TestInstance, url: string): Promise<void> {
  const ours = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name LIKE 'millrace%'`;
  await instance.warehouse(ours);
  await queryAt(url, ours);
}

interface Refusal {
  lift(): Promise<void>;
}

/** Versions that the warehouse refuses for a while; then they are restreamed among newer ones. */
async function refuseHeldOrders(instance: TestInstance): Promise<Refusal> {
  const isThere = () => instance.warehouse('SELECT FROM shop.orders LIMIT 1');
  await until('the first orders', async () => (await isThere()).length === 1);
  await instance.warehouse(
    `ALTER TABLE shop.orders ADD CONSTRAINT not_held CHECK (state IS DISTINCT FROM 'held')`,
  );
  return {
    async lift() {
      const refused = async () => (await failedGroups(instance)).length > 0;
      await until('refused versions', refused, deadlineMs);
      await instance.warehouse('ALTER TABLE shop.orders DROP CONSTRAINT not_held');
      const [planned] = await instance.catalog<{ last: number }>(
        'SELECT max(plan_order) AS last FROM millrace.batches',
      );
      const before = [planned?.last];
      await until(
        'what was planned before to be loaded',
        () => isSettled(instance, before),
        deadlineMs,
      );
      for (const group of await failedGroups(instance)) {
        const { code, stderr } = await instance.cli('failed', 'retry', group);
        expect([0, 5], stderr).toContain(code);
      }
    },
  };
}

async function failedGroups(instance: TestInstance): Promise<readonly string[]> {
  const groups = await instance.catalog<{ id: string }>(
    'SELECT group_id AS id FROM millrace.failure_groups WHERE open_count > 0',
  );
  return groups.map(({ id }) => id);
}

/** All deliveries, or those that were planned up to one. */
async function isSettled(instance: TestInstance, upTo: unknown[] = [null]): Promise<boolean> {
  const open = await instance.catalog(
    `SELECT 1 FROM millrace.deliveries d JOIN millrace.batches USING (batch_id)
      WHERE d.state <> 'settled' AND ($1::bigint IS NULL OR plan_order <= $1)
      UNION ALL
     SELECT 1 FROM millrace.failure_groups
      WHERE $1::bigint IS NULL AND open_count + restreaming_count > 0`,
    upTo,
  );
  return open.length === 0;
}

interface Watched {
  readonly looks: number;
  /** Orders that were older than they had been. */
  readonly wentBack: readonly string[];
}

/** A version that was once seen is never followed by an older one. */
async function watchVersions(instance: TestInstance, signal: AbortSignal): Promise<Watched> {
  const newest = new Map<string, number>();
  const wentBack: string[] = [];
  const client = new pg.Client({ connectionString: instance.urls.destinations['warehouse'] });
  await client.connect();
  let looks = 0;
  for (; !signal.aborted; looks += 1) {
    const { rows } = await client.query<{ id: string; changes: number }>(
      'SELECT id, changes::int FROM shop.orders WHERE id <= 200',
    );
    for (const { id, changes } of rows) {
      const before = newest.get(id) ?? 0;
      if (changes < before) wentBack.push(`${id}: ${changes} after ${before}`);
      newest.set(id, changes);
    }
    await client.query('SELECT pg_sleep(0.2)');
  }
  await client.end();
  return { looks, wentBack };
}

/** Nobody does anything: schedule and maintenance bring in what is missing. */
async function untilSame(instance: TestInstance, url: string): Promise<void> {
  const isSame = async () => {
    if (!(await isSettled(instance))) return false;
    for (const stream of streams) {
      const [ours] = await instance.warehouse(sumSql(`shop.${stream}`, stream));
      const [theirs] = await queryAt(url, sumSql(stream, stream));
      if (JSON.stringify(ours) !== JSON.stringify(theirs)) return false;
    }
    return true;
  };
  await until('the tables to be the same', isSame, deadlineMs);
}

function sumSql(table: string, stream: Stream): string {
  return `SELECT count(*)::int AS rows, md5(string_agg(r::text, '|' ORDER BY r.id)) AS sum
            FROM (SELECT ${busyColumns[stream]} FROM ${table}) r`;
}

/** Row for row, so that a failure says which. */
async function expectSame(instance: TestInstance, url: string): Promise<void> {
  for (const stream of streams) {
    const list = `SELECT row_to_json(r)::text AS row FROM (SELECT ${busyColumns[stream]} FROM`;
    const ours = await instance.warehouse(`${list} shop.${stream}) r ORDER BY r.id`);
    const theirs = await queryAt(url, `${list} ${stream}) r ORDER BY r.id`);
    expect(ours.length, stream).toBe(theirs.length);
    expect(ours, stream).toEqual(theirs);
  }
}

async function doubled(instance: TestInstance) {
  const keys = streams.map((stream) => `SELECT '${stream}' AS stream, id FROM shop.${stream}`);
  return instance.warehouse(
    `SELECT stream, id FROM (${keys.join(' UNION ALL ')}) k GROUP BY 1, 2 HAVING count(*) > 1`,
  );
}

/** Batches whose events are not each loaded, superseded, duplicate or failed. */
async function unaccounted(instance: TestInstance) {
  return instance.catalog(
    `SELECT b.batch_id, b.events FROM millrace.batches b JOIN millrace.deliveries d USING (batch_id)
      WHERE b.run = 'live' AND b.events IS DISTINCT FROM d.rows_loaded + d.rows_superseded
                               + d.rows_duplicate + d.rows_failed + d.rows_discarded`,
  );
}
