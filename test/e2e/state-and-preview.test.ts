import { appendFile, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { must } from '../../core/errors.ts';
import { startInstance, type TestInstance } from '../support/instance.ts';
import { connectTemporal } from '../support/temporal-hand.ts';

const config = `
destinations:
  warehouse: { type: postgres }
sources:
  shop:
    type: file
    settleSeconds: 0
    streams: { orders: { path: orders.ndjson }, prices: { path: prices.ndjson } }
pipelines:
  shop:
    source: shop
    destinations: [warehouse]
    streams: { prices: { key: sku } }
`;

interface Lane {
  readonly lane: string;
  readonly head: string;
  readonly settledHead: string;
  readonly openBatches: number;
  readonly state: string;
}

let instance: TestInstance;
beforeAll(async () => {
  instance = await startInstance({ config });
  await instance.write('orders.ndjson', firstOrders);
  await instance.json(['sync']);
}, 120_000);
afterAll(() => instance?.[Symbol.asyncDispose]());

const orders = async () =>
  (await instance.warehouse<{ id: number }>('SELECT id::int FROM shop.orders ORDER BY id')).map(
    ({ id }) => id,
  );
const laneOf = async (lane: string) => {
  const { lanes } = await instance.json<{ lanes: Lane[] }>(['state', 'show', 'shop']);
  return must(lanes.find((one) => one.lane === lane));
};
const addOrders = (text: string) => appendFile(join(instance.directory, 'orders.ndjson'), text);

/** Positions of a file: generation, byte, line. */
const at = (text: string, records: number, off = 0) => {
  const offset = String(Buffer.byteLength(text) + off).padStart(14, '0');
  return `00000001.${offset}.${String(records).padStart(10, '0')}`;
};
const firstOrders = '{"id":1,"note":"tell nobody"}\n{"id":2,"note":null}\n';

/** All that a preview could have left behind. */
async function countAll(): Promise<unknown> {
  const catalog = await instance.catalog(
    `SELECT (SELECT count(*) FROM millrace.lanes) AS lanes,
            (SELECT count(*) FROM millrace.batches) AS batches,
            (SELECT count(*) FROM millrace.mappings) AS mappings,
            (SELECT count(*) FROM millrace.ddl_log) AS ddl`,
  );
  const tables = await instance.warehouse(
    `SELECT table_name FROM information_schema.tables WHERE table_schema = 'shop' ORDER BY 1`,
  );
  return { catalog, tables };
}

describe('preview', () => {
  test('shows mapping, DDL and rows of what was never loaded, and writes nothing', async () => {
    await instance.write('prices.ndjson', '{"sku":"a","price":1.5}\n{"price":2}\n');
    const before = await countAll();
    const [prices, ...more] = await instance.json<Record<string, unknown>[]>([
      'preview',
      'shop',
      'prices',
    ]);
    expect(more).toEqual([]);
    expect(prices).toMatchObject({
      stream: 'prices',
      lane: 'prices.ndjson',
      events: 2,
      destinations: [
        {
          destination: 'warehouse',
          table: 'shop.prices',
          write: 'merge',
          columns: [
            { field: 'sku', column: 'sku', type: 'text', isNew: true },
            { field: 'price', column: 'price', type: 'decimal', isNew: true },
          ],
          statements: [
            expect.stringMatching(/^CREATE SCHEMA IF NOT EXISTS/),
            expect.stringMatching(/^CREATE TABLE "?shop"?\."?prices"? .*"?sku"? text/),
            expect.stringMatching(/^CREATE UNIQUE INDEX ON "?shop"?\."?prices"? \("?sku"?\)/),
          ],
          rows: [['a', '1.5']],
          failures: [{ kind: 'missing-required', field: 'sku', events: 1 }],
        },
      ],
    });
    expect(await countAll()).toEqual(before);
  });

  test('shows rows to the person who asks, and to no log', async () => {
    const { stdout } = await instance.cli('preview', 'shop', 'orders');
    expect(stdout).toMatch(/tell nobody/);
    expect(stdout).toMatch(/the table needs no change/);
    const logs = join(instance.urls.home, 'logs');
    for (const name of await readdir(logs)) {
      expect(await readFile(join(logs, name), 'utf8')).not.toMatch(/tell nobody/);
    }
  });

  test('says what is not there', async () => {
    const { code, stderr } = await instance.cli('preview', 'shop', 'nothing');
    expect(code).toBe(1);
    expect(stderr).toMatch(/no records of stream nothing now: it has orders, prices/);
  });
});

describe('state', () => {
  test('shows where every lane stands', async () => {
    await instance.json(['sync'], [5]);
    expect(await laneOf('orders.ndjson')).toMatchObject({
      stream: 'orders',
      state: 'active',
      head: at(firstOrders, 2),
      settledHead: at(firstOrders, 2),
      openBatches: 0,
    });
    expect((await instance.cli('state', 'show', 'shop')).stdout).toMatch(/orders\.ndjson .*active/);
  });

  test('is set only where nothing moves, to what the connector knows, and never over what was planned', async () => {
    const { head } = await laneOf('orders.ndjson');
    const set = (position: string) =>
      instance.cli('state', 'set', 'shop', 'orders.ndjson', position);
    expect((await set(head)).stderr).toMatch(/in use: pause its pipeline first/);
    await instance.json(['pause', 'shop']);
    expect((await set('yesterday')).stderr).toMatch(/"yesterday" is no position in a file/);
    expect((await set(at(firstOrders, 2, -1))).stderr).toMatch(/no record ends at/);
    expect((await set(at('', 0))).stderr).toMatch(
      /planned already: "backfill --stream orders --lane orders\.ndjson --from 00000001/,
    );
    const unknown = await instance.cli('state', 'set', 'shop', 'nothing', head);
    expect(unknown.stderr).toMatch(/no lane nothing: it has orders\.ndjson, prices\.ndjson/);
    expect((await laneOf('orders.ndjson')).head).toBe(head);
  });

  test('set forward leaves out what lies between, set back brings it in; both are in the audit', async () => {
    const before = (await laneOf('orders.ndjson')).head;
    const skipped = '{"id":3}\n{"id":4}\n';
    await addOrders(skipped);
    const end = at(firstOrders + skipped, 4);
    const set = (position: string) =>
      instance.json(['state', 'set', 'shop', 'orders.ndjson', position]);
    expect(await set(end)).toMatchObject({ from: before, to: end, between: 'skipped' });
    await addOrders('{"id":5}\n');
    await instance.json(['resume', 'shop']);
    await instance.json(['sync'], [5]);
    expect(await orders()).toEqual([1, 2, 5]);

    await instance.json(['pause', 'shop']);
    const more = '{"id":6}\n{"id":7}\n';
    const last = at(`${firstOrders}${skipped}{"id":5}\n${more}`, 7);
    await addOrders(more);
    const middle = (await laneOf('orders.ndjson')).head;
    await set(last);
    expect(await set(middle)).toMatchObject({ from: last, to: middle, between: 'read' });
    await instance.json(['resume', 'shop']);
    await instance.json(['sync'], [5]);
    expect(await orders()).toEqual([1, 2, 5, 6, 7]);
    const audit = await instance.catalog(
      `SELECT author, subject, details ->> 'from' AS "from", details ->> 'to' AS "to"
         FROM millrace.decisions WHERE action = 'state set' ORDER BY decision_id`,
    );
    expect(audit).toEqual([
      { author: 'admin', subject: 'shop', from: before, to: end },
      { author: 'admin', subject: 'shop', from: middle, to: last },
      { author: 'admin', subject: 'shop', from: last, to: middle },
    ]);
  });
});

describe('a position that somebody', () => {
  interface Stopped {
    readonly stoppedLanes: readonly { lane: string; kind: string; message: string }[];
  }
  const sync = () => instance.json<Stopped>(['sync'], [0, 1, 5]);
  const change = (sql: string) => instance.catalog(`${sql} WHERE lane = 'orders.ndjson'`);
  /** As a schedule and the reconciler ask for it: no person did. */
  async function planUnasked(): Promise<void> {
    await using hand = await connectTemporal(instance);
    const { workflow } = hand.client;
    await workflow.execute('syncSource', {
      workflowId: 'sync/shop',
      taskQueue: 'millrace',
      args: [{ source: 'shop' }],
      workflowIdConflictPolicy: 'TERMINATE_EXISTING',
    });
  }

  test('damaged stops its lane under a name and is set right: nothing is lost or doubled', async () => {
    const { head } = await laneOf('orders.ndjson');
    await addOrders('{"id":8}\n');
    await change(`UPDATE millrace.lanes SET head = 'x' || head`);
    const { stoppedLanes } = await sync();
    expect(stoppedLanes).toMatchObject([{ lane: 'orders.ndjson', kind: 'position-corrupt' }]);
    await instance.json(['state', 'set', 'shop', 'orders.ndjson', head]);
    expect((await sync()).stoppedLanes).toEqual([]);
    expect(await orders()).toEqual([1, 2, 5, 6, 7, 8]);
  });

  test('removed is refused by name once, and taken from the plans: nothing begins anew', async () => {
    await addOrders('{"id":9}\n');
    await change('DELETE FROM millrace.lanes');
    const { stoppedLanes } = await sync();
    expect(stoppedLanes).toMatchObject([
      {
        lane: 'orders.ndjson',
        kind: 'position-corrupt',
        message: expect.stringMatching(/was gone from the catalog/),
      },
    ]);
    await planUnasked(); // a person has to hear of it first
    expect(await orders()).toEqual([1, 2, 5, 6, 7, 8]);
    expect((await sync()).stoppedLanes).toEqual([]);
    expect(await orders()).toEqual([1, 2, 5, 6, 7, 8, 9]);
  });
});
