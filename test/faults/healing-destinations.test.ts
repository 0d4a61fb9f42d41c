import { stat } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { audit } from '../support/audit.ts';
import { startProxyFor, type FaultProxy } from '../support/fault-proxy/fault-proxy.ts';
import { startInstance, type TestInstance } from '../support/instance.ts';
import { makeOrders } from '../support/orders.ts';
import { until } from '../support/until.ts';

/** More batches than the window of a destination holds, so that it would stop others. */
const ordersOfALoad = 2_000;
const batchBytes = 32 * 1024;
const window = 4;
const connectionFailed = 4;
const failedEvents = 5;

const withWarehouse = `
destinations:
  warehouse: { type: postgres }
sources:
  shop: { type: file, streams: { orders: { path: 'orders-*.ndjson' } } }
pipelines:
  shop: { source: shop, destinations: [warehouse] }
`;

let instance: TestInstance;
let gate: FaultProxy;
/** Behind the gate. */
let archiveUrl: string;
const files: string[] = [];

beforeAll(async () => {
  instance = await startInstance({
    config: withWarehouse,
    environment: { MILLRACE_PATIENCE: '0.05', MILLRACE_MAX_BATCH_BYTES: String(batchBytes) },
  });
  const url = new URL(instance.urls.warehouseUrl);
  await instance.warehouse('CREATE DATABASE archive');
  url.pathname = '/archive';
  archiveUrl = url.toString();
  gate = await startProxyFor(archiveUrl);
  gate.shut();
  const withArchive = withWarehouse
    .replace(
      'sources:',
      `  archive: { type: postgres, url: '${gate.urlOf(archiveUrl)}' }\nsources:`,
    )
    .replace('[warehouse]', '[warehouse, archive]');
  await instance.write('millrace.yaml', withArchive);
  await instance.json(['apply']);
}, 120_000);

afterAll(async () => {
  await instance?.[Symbol.asyncDispose]();
  await gate?.[Symbol.asyncDispose]();
});

describe('one of two destinations', () => {
  test('that fails from the first day on, but is not given up yet, holds up nothing of the other', async () => {
    await addOrders(ordersOfALoad);
    await instance.json(['sync', '--no-wait']);
    await untilSettledIn('warehouse');
    await untilArchiveFails();
    expect(await countOpen('archive')).toMatchObject({ waiting: 0 });
    expect((await countOpen('archive')).pending).toBeGreaterThan(window);

    gate.open();
    await untilSettledIn('archive');
    await auditBoth();
  });

  test('that is away for minutes: the other keeps up, sync says who waits, then both are equal', async () => {
    gate.shut();
    await addOrders(ordersOfALoad);
    const sync = instance.cli('sync');
    await untilSettledIn('warehouse');
    await untilArchiveFails();
    await letMinutesPass(6);
    const { code, stderr } = await sync;
    expect({ code, stderr }).toMatchObject({ code: connectionFailed });
    expect(stderr).toMatch(/\d+ deliveries wait until their destination is back/);
    expect(await countOpen('warehouse')).toEqual({ pending: 0, waiting: 0 });
    expect((await countOpen('archive')).waiting).toBeGreaterThan(window);

    await addOrders(ordersOfALoad);
    expect((await instance.cli('sync')).code).toBe(connectionFailed);
    expect(await countOpen('warehouse')).toEqual({ pending: 0, waiting: 0 });

    gate.open();
    await untilSettledIn('archive');
    await auditBoth();
    expect((await instance.cli('sync')).code).toBe(failedEvents);
  });

  test('that accepts and never answers again holds up nothing of the other', async () => {
    gate.mute();
    await addOrders(ordersOfALoad);
    await instance.json(['sync', '--no-wait']);
    await untilSettledIn('warehouse');
    await untilArchiveFails();

    await addOrders(ordersOfALoad);
    await instance.json(['sync', '--no-wait']);
    await untilSettledIn('warehouse');
    gate.open();
    await untilSettledIn('archive');
    await auditBoth();
  });
});

let nextId = 10;

async function addOrders(count: number): Promise<void> {
  files.push(await instance.write(`orders-${nextId}.ndjson`, makeOrders(nextId, count)));
  nextId += count;
}

/** All that was asked for is planned, and the destination has all of it. */
async function untilSettledIn(destination: string): Promise<void> {
  await until(`${destination} to have everything`, async () => {
    const { pending, waiting } = await countOpen(destination);
    return pending + waiting === 0 && (await isAllPlanned());
  });
}

async function isAllPlanned(): Promise<boolean> {
  const sizes = await Promise.all(files.map(async (file) => (await stat(file)).size));
  const [planned] = await instance.catalog<{ bytes: number }>(
    'SELECT sum(planned_bytes)::int AS bytes FROM millrace.batches',
  );
  return planned?.bytes === sizes.reduce((sum, size) => sum + size, 0);
}

async function countOpen(destination: string) {
  const [open] = await instance.catalog<{ pending: number; waiting: number }>(
    `SELECT count(*) FILTER (WHERE state = 'pending')::int AS pending,
            count(*) FILTER (WHERE state = 'waiting')::int AS waiting
       FROM millrace.deliveries WHERE destination = $1`,
    [destination],
  );
  return open ?? { pending: 0, waiting: 0 };
}

/** A load there has failed, and the catalog says so: not the same moment as a settled warehouse. */
async function untilArchiveFails(): Promise<void> {
  await until('the archive to be marked as failing', async () => {
    const [row] = await instance.catalog<{ state: string }>(
      `SELECT state FROM millrace.destinations WHERE destination = 'archive'`,
    );
    return row?.state === 'failing';
  });
}

/** Time is the catalog's: what failed just now has failed for so long. */
async function letMinutesPass(minutes: number): Promise<void> {
  await instance.catalog(
    `UPDATE millrace.destinations SET failing_since = failing_since - $1 * interval '1 minute'
      WHERE destination = 'archive'`,
    [minutes],
  );
}

async function auditBoth(): Promise<void> {
  const { catalogUrl, warehouseUrl } = instance.urls;
  const table = 'shop.orders';
  await audit({
    files,
    catalogUrl,
    source: 'shop',
    destinations: { warehouse: { url: warehouseUrl, table }, archive: { url: archiveUrl, table } },
  });
}
