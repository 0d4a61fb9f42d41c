import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { openCatalog, type Catalog } from '../../../store/catalog/catalog.ts';
import { insertLane } from '../../../store/catalog/lanes.ts';
import { migrate } from '../../../store/catalog/migrate.ts';
import { isRefreshDue, recordPlan } from '../../../store/catalog/plans.ts';
import { startPostgres, type PostgresServer } from '../../support/postgres-server.ts';

/** Full refreshes with a schedule that is due at whole minutes. */
let server: PostgresServer;
let catalog: Catalog;
let source = '';
let tests = 0;
const everyMs = 60_000;

beforeAll(async () => {
  server = await startPostgres();
  catalog = openCatalog({ url: await server.createDatabase('catalog') });
  await migrate(catalog);
});
beforeEach(() => {
  source = `source-${(tests += 1)}`;
});
afterAll(async () => {
  await catalog[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

/** Whether a refresh is due in a transaction of this time, the last one having been planned at that. */
async function isDue(now: string, planned: string, state = 'settled'): Promise<boolean> {
  const at = { source, lane: 'public.prices', memo: '' };
  await insertLane(catalog, { ...at, start: 'g:0' });
  const ranges = [{ from: 'g:0', to: 'g:1', bytes: 1, batchId: source }];
  await recordPlan(catalog, { ...at, from: 'g:0', whole: true, ranges, destinations: [] });
  await catalog.query(`UPDATE millrace.batches SET state = $2, planned_at = $3 WHERE source = $1`, [
    source,
    state,
    planned,
  ]);
  const db: Pick<Catalog, 'query'> = {
    query: (sql, values) => catalog.query(sql.replaceAll('now()', `timestamptz '${now}'`), values),
  };
  return isRefreshDue(db, { source, lane: at.lane, everyMs });
}

test('the next round is not missed because a sync was slower at the one before', async () => {
  expect(await isDue('2026-11-26T12:01:00.2Z', '2026-11-26T12:00:00.9Z')).toBe(true);
});

test('a slow round, of most of an interval, does not cost the next one', async () => {
  expect(await isDue('2026-11-26T12:01:00.2Z', '2026-11-26T12:00:45Z')).toBe(true);
});

test('a clock that is behind the one of the schedule costs no round', async () => {
  expect(await isDue('2026-11-26T12:00:59.5Z', '2026-11-26T12:00:00Z')).toBe(true);
});

test('between two rounds nothing is due', async () => {
  expect(await isDue('2026-11-26T12:00:50Z', '2026-11-26T12:00:00.2Z')).toBe(false);
});

test('nothing is due while the last one is on its way', async () => {
  expect(await isDue('2026-11-26T12:05:00Z', '2026-11-26T12:00:00Z', 'extracted')).toBe(false);
});
