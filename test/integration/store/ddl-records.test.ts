import { afterAll, beforeAll, expect, test } from 'vitest';
import { postgresDestination } from '../../../connectors/postgres/index.ts';
import type { Destination } from '../../../core/destination.ts';
import type { Mapping } from '../../../core/mapping.ts';
import { openCatalog, type Catalog } from '../../../store/catalog/catalog.ts';
import { changeTable, settlePlannedDdl } from '../../../store/catalog/ddl-records.ts';
import { migrate } from '../../../store/catalog/migrate.ts';
import { mappingOf, orderColumns, orders, signal } from '../../conformance/destination-fixture.ts';
import { queryAt, startPostgres, type PostgresServer } from '../../support/postgres-server.ts';

/** The audit of changes of tables, whatever dies between the warehouse and the catalog. */
let server: PostgresServer;
let catalog: Catalog;
let url: string;
let warehouse: Destination;

beforeAll(async () => {
  server = await startPostgres();
  catalog = openCatalog({ url: await server.createDatabase('catalog') });
  await migrate(catalog);
  url = await server.createDatabase('warehouse');
  warehouse = await postgresDestination.open({ url }, { installation: 'ours', name: 'warehouse' });
  await warehouse.prepare(signal);
});
afterAll(async () => {
  await warehouse[Symbol.asyncDispose]();
  await catalog[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

const wider = (column: string): Mapping =>
  mappingOf(orders, [...orderColumns, { path: column, column, type: 'text', by: 'automapper' }]);
const change = (mapping: Mapping) =>
  changeTable(catalog, warehouse, { mapping, batchId: null, signal });
const settle = () => settlePlannedDdl(catalog, warehouse, { destination: 'warehouse', signal });

async function recordsOf(column: string): Promise<readonly string[]> {
  const { rows } = await catalog.query<{ state: string }>(
    'SELECT state FROM millrace.ddl_records WHERE strpos(statement, $1) > 0 ORDER BY ddl_id',
    [`"${column}"`],
  );
  return rows.map(({ state }) => state);
}

test('a change that is through is in the audit; one that finds nothing to do is not', async () => {
  await change(mappingOf(orders));
  await change(mappingOf(orders));
  expect(new Set(await recordsOf('orders'))).toEqual(new Set(['applied']));
  expect(await recordsOf('amount')).toEqual(['applied']);
});

test('a change whose session died before COMMIT is abandoned; made again it is in the audit once', async () => {
  const dying: Destination = Object.assign(Object.create(warehouse) as Destination, {
    applyMapping: (
      mapping: Mapping,
      at: AbortSignal,
      order: Parameters<Destination['applyMapping']>[2],
    ) =>
      warehouse.applyMapping(mapping, at, {
        changeId: order?.changeId ?? '',
        beforeCommit: async (changes) => {
          await order?.beforeCommit(changes);
          await queryAt(
            url,
            `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
              WHERE datname = current_database() AND state = 'idle in transaction'`,
          );
        },
      }),
  });
  await expect(
    changeTable(catalog, dying, { mapping: wider('gift'), batchId: null, signal }),
  ).rejects.toMatchObject({ kind: 'destination-unavailable' });
  expect(await recordsOf('gift')).toEqual(['planned']);
  await settle();
  await settle();
  expect(await recordsOf('gift')).toEqual(['abandoned']);
  await change(wider('gift'));
  expect(await recordsOf('gift')).toEqual(['abandoned', 'applied']);
  const { rows } = await catalog.query(
    `SELECT FROM millrace.ddl_log WHERE strpos(statement, '"gift"') > 0`,
  );
  expect(rows).toHaveLength(1);
});

test('a change that is durable and was not noted is found to be applied, once', async () => {
  let broken = true;
  const forgetful: Catalog = {
    ...catalog,
    query: (sql, values) =>
      broken && sql.includes('UPDATE millrace.ddl_records')
        ? Promise.reject(new Error('the process died'))
        : catalog.query(sql, values),
  };
  await expect(
    changeTable(forgetful, warehouse, { mapping: wider('ribbon'), batchId: null, signal }),
  ).rejects.toThrow('the process died');
  broken = false;
  expect(await recordsOf('ribbon')).toEqual(['planned']);
  expect(await change(wider('ribbon'))).toEqual([]);
  await settle();
  expect(await recordsOf('ribbon')).toEqual(['applied']);
});
