import { afterAll, beforeAll, expect, test } from 'vitest';
import { openCatalog, type Catalog } from '../../../store/catalog/catalog.ts';
import { insertMapping } from '../../../store/catalog/mappings.ts';
import { migrate } from '../../../store/catalog/migrate.ts';
import { listTables } from '../../../store/catalog/runs.ts';
import { startPostgres, type PostgresServer } from '../../support/postgres-server.ts';

/** What `sync` and `status` say of tables is what is in them. */
let server: PostgresServer;
let catalog: Catalog;

beforeAll(async () => {
  server = await startPostgres();
  catalog = openCatalog({ url: await server.createDatabase('catalog') });
  await migrate(catalog);
});
afterAll(async () => {
  await catalog[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

const destination = 'warehouse';

async function map(stream: string, how: { readonly replace?: true }): Promise<void> {
  const table = { schema: 'shop', name: stream };
  const mapping = { source: 'shop', stream, destination, table, columns: [], extra: false, ...how };
  await insertMapping(catalog, { ...mapping, version: 1 }, { author: 'test', reason: 'test' });
}

async function settle(stream: string, run: string, rows: number): Promise<void> {
  const batchId = `${run}/${stream}/${rows}`;
  await catalog.query(
    `INSERT INTO millrace.batches (batch_id, run, source, lane, stream, whole, from_position, to_position, state)
     VALUES ($1, $2, 'shop', $3, $3, $4, $1, '', 'settled')`,
    [batchId, run, stream, run === 'live'],
  );
  await catalog.query(
    `INSERT INTO millrace.deliveries (batch_id, destination, state, tables, settled_at)
     VALUES ($1, $2, 'settled', jsonb_build_object('shop.' || $3::text, $4::int), clock_timestamp())`,
    [batchId, destination, stream, rows],
  );
}

test('a table that is replaced has the rows of its newest refresh, and those retried since', async () => {
  await map('prices', { replace: true });
  await map('log', {});
  for (const stream of ['prices', 'log']) {
    await settle(stream, 'live', 100);
    await settle(stream, 'live', 7);
    await settle(stream, 'restream/1', 2);
  }
  expect(await listTables(catalog)).toMatchObject([
    { table: 'log', rowsLoaded: 109 },
    { table: 'prices', rowsLoaded: 9 },
  ]);
  await settle('prices', 'live', 0);
  expect(await listTables(catalog)).toMatchObject([{}, { table: 'prices', rowsLoaded: 0 }]);
});
