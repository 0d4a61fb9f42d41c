import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { formatGeneration, parseGeneration } from '../../connectors/postgres/source/cursor.ts';
import { must } from '../../core/errors.ts';
import { ensureDatabase } from '../../local/postgres-databases.ts';
import { batchIdOf } from '../../pipeline/batches/batch-id.ts';
import {
  allFailpoints,
  quietFailpoints,
  type FailpointMarkers,
} from '../support/failpoint-markers.ts';
import {
  createPrices,
  GenerationReader,
  goodRows,
  writeGeneration,
} from '../support/generations.ts';
import { holdBatch } from '../support/held-batch.ts';
import { startInstance, type TestInstance } from '../support/instance.ts';
import { until } from '../support/until.ts';
import { variants } from '../support/variants.ts';

/**
 * Two destinations: so a refresh is staged, and a newer one may be planned once it is read. On the
 * typed road it is read while it loads, and the next one is planned behind it.
 */
const config = (url: string) => `
destinations: { warehouse: { type: postgres }, archive: { type: postgres } }
sources: { shop: { type: postgres, url: '${url}', tables: { public.prices: } } }
pipelines: { shop: { source: shop, destinations: [warehouse, archive] } }
`;

/** Exit code of a sync that ends with failed events. */
const failedEvents = 5;

let instance: TestInstance;
let failpoints: FailpointMarkers;
let reader: GenerationReader;
let url: string;
let generation = 0;

beforeAll(async () => {
  instance = await startInstance({
    config: 'destinations: { warehouse: { type: postgres }, archive: { type: postgres } }\n',
    environment: { MILLRACE_PATIENCE: '0.05', ...allFailpoints('exit') },
  });
  failpoints = await quietFailpoints(instance.urls.home);
  const base = new URL(instance.urls.catalogUrl);
  base.pathname = '';
  url = await ensureDatabase(base.toString().replace(/\/$/, ''), 'shop');
  await createPrices(url);
  await instance.write('millrace.yaml', config(url));
  expect(await instance.cli('apply')).toMatchObject({ code: 0 });
  await refresh();
  reader = await GenerationReader.start(instance.urls.destinations['warehouse']);
}, 120_000);

afterAll(async () => {
  await reader?.stop();
  await instance?.[Symbol.asyncDispose]();
});

async function refresh(...args: string[]): Promise<void> {
  generation += 1;
  await writeGeneration(url, generation);
  await instance.json(['sync', ...args], [0, failedEvents]);
}

/** The newest refresh stands, once; of its failed events and of no others a person is told. */
async function audit(): Promise<void> {
  const rows = await instance.warehouse(
    'SELECT generation::int, count(*)::int AS rows, count(DISTINCT sku)::int AS skus FROM shop.prices GROUP BY 1',
  );
  const expected = goodRows(generation);
  expect(rows).toEqual([{ generation, rows: expected, skus: expected }]);
  const newest = await instance.catalog<{ id: string }>(
    'SELECT batch_id AS id FROM millrace.batches ORDER BY plan_order DESC LIMIT 1',
  );
  const open = await instance.catalog<{ id: string }>(
    `SELECT batch_id AS id FROM millrace.failed_events
      WHERE state = 'open' AND destination = 'warehouse'`,
  );
  expect(open).toEqual(newest);
  const once = await instance.warehouse<{ batches: number }>(
    'SELECT count(*)::int AS batches FROM _millrace.ledger',
  );
  expect(once).toEqual([{ batches: generation }]);
  expect(reader.wrong).toEqual([]);
}

const ofARefresh = [
  'plan-committed',
  'extract-read',
  'extract-staged',
  'map-computed',
  'fence-taken',
  'ledger-inserted',
  'copy-middle',
  'before-commit',
  'commit-unread',
  'before-settle',
  'settle-middle',
] as const;

describe('kill -9 of the worker while a table is replaced', () => {
  test.each(
    variants(ofARefresh, ['extract-staged', 'copy-middle', 'commit-unread', 'settle-middle']),
  )('at %s: readers see whole refreshes, the new one stands once', async (name) => {
    const [looks, worker] = [reader.looks, await instance.pidOf('worker')];
    await failpoints.arm(name);
    await refresh();
    expect(failpoints.hasFired(name)).toBe(true);
    expect(await instance.pidOf('worker')).not.toBe(worker);
    await audit();
    await until('a look at it', async () => reader.newest === generation);
    expect(reader.looks).toBeGreaterThan(looks + 5);
  });
});

test('a refresh that is overtaken by a newer one, and whose worker is killed, changes nothing more', async () => {
  const late = await nextBatch();
  await using held = await holdBatch(instance, late);
  await refresh('--no-wait');
  await until('the first of two to stand before its load', () => held.isWaiting());
  await refresh('--no-wait');
  await until('the second to be seen', async () => reader.newest === generation);
  process.kill(await instance.pidOf('worker'), 'SIGKILL');
  await until('the first to stand there again', async () => !(await held.isWaiting()));
  await until('the first to stand there again', () => held.isWaiting());
  await held.letGo();
  await until('both to be settled', async () => {
    const open = await instance.catalog(`SELECT FROM millrace.deliveries WHERE state <> 'settled'`);
    return open.length === 0;
  });
  await audit();
  const [row] = await instance.warehouse(
    'SELECT rows_loaded::int AS loaded FROM _millrace.ledger WHERE batch_id = $1',
    [late],
  );
  expect(row).toEqual({ loaded: 0 });
});

/** Id of the refresh that will be planned next. */
async function nextBatch(): Promise<string> {
  const [lane] = await instance.catalog<{ head: string }>('SELECT head FROM millrace.lanes');
  const from = must(lane).head;
  const to = formatGeneration(parseGeneration(from) + 1);
  return batchIdOf({ run: 'live', source: 'shop', lane: 'public.prices', from, to });
}
