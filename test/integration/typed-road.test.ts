import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { WriteRule } from '../../core/mapping.ts';
import { postgresDestination } from '../../connectors/postgres/index.ts';
import { startProxyFor } from '../support/fault-proxy/fault-proxy.ts';
import { queryAt, startPostgres, type PostgresServer } from '../support/postgres-server.ts';
import { kinds } from '../support/column-kinds.ts';
import { TwoRoads } from '../support/two-roads.ts';

let server: PostgresServer;
let directory: string;
let sourceUrl: string;
let databases = 0;

beforeAll(async () => {
  server = await startPostgres();
  directory = await mkdtemp(join(tmpdir(), 'millrace-roads-'));
  sourceUrl = await server.createDatabase('source');
  await queryAt(
    sourceUrl,
    `CREATE TYPE mood AS ENUM ('so so'); CREATE DOMAIN amount AS numeric(12,3)`,
  );
});
afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

interface Followed {
  readonly cursor?: string;
  readonly key?: string;
  readonly nulls?: 'first';
  readonly write?: WriteRule;
}

async function openRoads(table: string, { write = {}, ...settings }: Followed): Promise<TwoRoads> {
  databases += 1;
  const roads = await TwoRoads.open({
    sourceUrl,
    stagedUrl: await server.createDatabase(`staged_${databases}`),
    typedUrl: await server.createDatabase(`typed_${databases}`),
    directory: join(directory, String(databases)),
    table,
    settings: { ...(settings.cursor !== undefined && { lag: '0s' }), ...settings },
    write,
  });
  await roads.map();
  return roads;
}

/** Loads all of a table by both roads; answers what the typed one made of it. */
async function expectEqual(roads: TwoRoads, write: 'append' | 'append-absent' = 'append') {
  for (const range of await roads.ranges()) {
    const staged = await roads.loadStaged(range, write);
    const typed = await roads.loadTyped(range, { write });
    expect(staged.failures).toBe(0);
    const { rowsLoaded, rowsDuplicate, rowsSuperseded, tables, failedSha256 } = staged.row;
    const counts = { rowsLoaded, rowsDuplicate, rowsSuperseded, tables, failedSha256 };
    expect(typed).toMatchObject(counts);
  }
  const rows = await roads.rows();
  expect(rows.typed).toEqual(rows.staged);
  return rows.typed;
}

describe('the same table by both roads', () => {
  beforeAll(async () => {
    const columns = kinds.map(([column]) => column).join(', ');
    await queryAt(sourceUrl, `CREATE TABLE kinds (id int PRIMARY KEY, at timestamptz, ${columns})`);
    const most = Math.max(...kinds.map(([, values]) => values.length));
    for (let row = 0; row < most; row += 1) {
      const cells = kinds.map(([, values]) => values[row] ?? 'NULL').join(', ');
      await queryAt(
        sourceUrl,
        `INSERT INTO kinds VALUES (${row}, timestamptz '1969-12-31 23:59:59.99Z' + ${row} * interval '3 ms', ${cells})`,
      );
    }
    await queryAt(sourceUrl, `INSERT INTO kinds (id) VALUES (1000)`);
  });

  test('is the same in every cell, event id and batch id (append)', async () => {
    await using roads = await openRoads('kinds', { cursor: 'at', nulls: 'first' });
    const rows = await expectEqual(roads);
    expect(rows.length).toBe(9);
    expect(rows.some((row) => row.includes('/c:.'))).toBe(true); // without a cursor value
    expect(rows.some((row) => row.includes('z:0'))).toBe(true); // before 1970
    expect(rows.some((row) => row.includes('z:1'))).toBe(true);
  });

  test('is the same in every version too (merge)', async () => {
    const write = { merge: { key: ['id'] } };
    await using roads = await openRoads('kinds', { cursor: 'at', nulls: 'first', write });
    expect((await expectEqual(roads)).length).toBe(9);
  });

  test('is the same where the cursor is an integer or a time without zone', async () => {
    await queryAt(
      sourceUrl,
      `CREATE TABLE cursors (n bigint PRIMARY KEY, at timestamp NOT NULL);
       INSERT INTO cursors SELECT n, timestamp 'epoch' + n * interval '7 microseconds' FROM generate_series(-50::bigint, 50) n;
       INSERT INTO cursors VALUES (-9223372036854775808, '0001-01-01')`,
    );
    for (const cursor of ['n', 'at']) {
      await using roads = await openRoads('cursors', { cursor, write: { merge: { key: ['n'] } } });
      expect((await expectEqual(roads)).length).toBe(102);
    }
  });

  test('is the same in a later era of its numbers, as newer rows', async () => {
    await using roads = await openRoads('cursors', {
      cursor: 'n',
      write: { merge: { key: ['n'] } },
    });
    const before = await expectEqual(roads);
    const { from, to, bytes } = await roads.range();
    const later = { from: `j0001.${from}`, to: `j0001.${to}`, bytes };
    const staged = await roads.loadStaged(later);
    const typed = await roads.loadTyped(later);
    expect([staged.row.rowsLoaded, typed.rowsLoaded]).toEqual([before.length, before.length]);
    const rows = await roads.rows();
    expect(rows.typed).toEqual(rows.staged);
    expect(rows.typed.every((row) => row.includes('/j0001.i:'))).toBe(true);
  });

  test('is the same with a key of several columns, one of them in no warehouse', async () => {
    await queryAt(
      sourceUrl,
      `CREATE TABLE parts (country char(2), number int, name text, changed timestamptz DEFAULT now() - interval '1 h', PRIMARY KEY (country, number));
       INSERT INTO parts SELECT 'de', n, E'na"me\\\\' || n FROM generate_series(1, 20) n`,
    );
    const write = { merge: { key: ['country', 'number'] } };
    await using roads = await openRoads('parts', { cursor: 'changed', nulls: 'first', write });
    expect((await expectEqual(roads)).length).toBe(20);
  });

  test('is the same as a whole, with a key and without one, and takes the place of what was there', async () => {
    await queryAt(
      sourceUrl,
      `CREATE TABLE keyed (sku text PRIMARY KEY, price numeric); CREATE TABLE keyless (sku text, price numeric);
       INSERT INTO keyed SELECT 'sku ' || n, n FROM generate_series(1, 30) n; INSERT INTO keyless TABLE keyed`,
    );
    for (const table of ['keyed', 'keyless']) {
      await using roads = await openRoads(table, { write: { replace: true } });
      expect((await expectEqual(roads)).length).toBe(30);
      const next = { from: 'g:000000000001', to: 'g:000000000002', bytes: 0 };
      await queryAt(sourceUrl, `DELETE FROM ${table} WHERE price > 10`);
      await roads.loadStaged(next);
      expect(await roads.loadTyped(next)).toMatchObject({ rowsLoaded: 10 });
      const rows = await roads.rows();
      expect(rows.typed).toEqual(rows.staged);
      const late = { from: 'g:000000000000', to: 'g:000000000001.', bytes: 0 };
      await roads.loadTyped({ ...late, to: 'g:000000000001' }); // in the ledger already
      expect((await roads.rows()).typed.length).toBe(10);
    }
  });

  test('inserts only what is absent, where that is asked for', async () => {
    await using roads = await openRoads('cursors', { cursor: 'n' });
    const range = await roads.range();
    const half = { ...range, to: 'i:10000000000000000000' };
    await roads.loadTyped(half);
    await roads.loadStaged(half);
    await expectEqual(roads, 'append-absent');
    expect((await roads.rows()).typed.length).toBe(102);
  });
});

/** Values that go to review, by the type of their column. */
const unfit = [
  ['numeric', `'NaN'`],
  ['numeric', `'Infinity'`],
  ['numeric', '1e39'],
  ['numeric', '0.123456789012345678901234567890123456789'],
  ['float8', `'NaN'`],
  ['float8', '1e300'],
  ['float8', `'-Infinity'`],
  ['real', '1e38'],
  ['date', `'infinity'`],
  ['date', `'0044-03-15 BC'`],
  ['date', `'10000-01-01'`],
  ['timestamp', `'infinity'`],
  ['timestamp', `'294276-12-31'`],
  ['timestamptz', `'-infinity'`],
  ['json', `'{"a": 1, "a": 2}'`],
] as const;

describe('what the typed road leaves to the staged one', () => {
  test.each(unfit)('%s %s', async (type, value) => {
    await queryAt(
      sourceUrl,
      `DROP TABLE IF EXISTS unfit; CREATE TABLE unfit (id int PRIMARY KEY, x ${type});
       INSERT INTO unfit VALUES (1, ${value}), (2, NULL)`,
    );
    await using roads = await openRoads('unfit', { write: { replace: true } });
    const range = await roads.range();
    await expect(roads.loadTyped(range)).rejects.toMatchObject({ kind: 'needs-staging' });
    expect(
      await roads.typed.readLedger([`shop/public.unfit/${range.from}..${range.to}`], signal),
    ).toEqual([]);
    expect((await roads.rows()).typed).toEqual([]);
  });

  test('a row that the warehouse refuses; nothing of the batch stays', async () => {
    await using roads = await openRoads('cursors', { cursor: 'n' });
    await queryAt(typedUrl(), 'ALTER TABLE shop.cursors ADD CHECK (n <> 7)');
    const range = await roads.range();
    await expect(roads.loadTyped(range)).rejects.toMatchObject({ kind: 'needs-staging' });
    expect((await roads.rows()).typed).toEqual([]);
    // The staged road isolates it, under the same id.
    await queryAt(typedUrl(), 'ALTER TABLE shop.cursors DROP CONSTRAINT cursors_n_check');
    expect(await roads.loadTyped(range)).toMatchObject({ rowsLoaded: 102 });
  });

  test('a merge key that is null', async () => {
    await queryAt(
      sourceUrl,
      'CREATE TABLE holes (id int, at int NOT NULL); INSERT INTO holes VALUES (NULL, 1), (2, 2)',
    );
    const write = { merge: { key: ['id'] } };
    await using roads = await openRoads('holes', { key: 'id', cursor: 'at', write });
    await expect(roads.loadTyped(await roads.range())).rejects.toMatchObject({
      kind: 'needs-staging',
    });
  });

  test('a column that came after the mapping, or is of another type by now', async () => {
    await queryAt(
      sourceUrl,
      'CREATE TABLE moving (id int PRIMARY KEY, x int); INSERT INTO moving VALUES (1, 1)',
    );
    await using roads = await openRoads('moving', { write: { replace: true } });
    const range = await roads.range();
    await queryAt(sourceUrl, 'ALTER TABLE moving ADD y text');
    await expect(roads.loadTyped(range)).rejects.toMatchObject({ kind: 'needs-staging' });
    await queryAt(sourceUrl, 'ALTER TABLE moving DROP y, ALTER x TYPE text');
    await expect(roads.loadTyped(range)).rejects.toMatchObject({ kind: 'needs-staging' });
    await queryAt(sourceUrl, 'ALTER TABLE moving DROP x');
    expect(await roads.loadTyped(range)).toMatchObject({ rowsLoaded: 1 }); // it is empty then
  });

  test('a column of the warehouse that keeps times or truths as text', async () => {
    await using roads = await openRoads('cursors', { cursor: 'n' });
    await queryAt(typedUrl(), 'ALTER TABLE shop.cursors ALTER at TYPE text');
    await expect(roads.loadTyped(await roads.range())).rejects.toMatchObject({
      kind: 'needs-staging',
    });
  });
});

const { signal } = new AbortController();

function typedUrl(): string {
  const url = new URL(sourceUrl);
  url.pathname = `/typed_${databases}`;
  return url.toString();
}

describe('a batch on the typed road', () => {
  test('whose COMMIT was not answered is found in the ledger', async () => {
    await using roads = await openRoads('cursors', { cursor: 'n' });
    await using way = await startProxyFor(typedUrl());
    way.cutAnswers('COMMIT');
    const lossy = await postgresDestination.open(
      { url: way.urlOf(typedUrl()) },
      { installation: 'ours', name: 'warehouse' },
    );
    const range = await roads.range();
    await expect(roads.loadTyped(range, { into: lossy })).rejects.toMatchObject({
      kind: 'destination-unavailable',
    });
    expect(way.cutCount()).toBe(1);
    await lossy[Symbol.asyncDispose]();
    await queryAt(sourceUrl, 'UPDATE cursors SET at = at'); // the range reads the same or not: it is not asked
    expect(await roads.loadTyped(range)).toMatchObject({ rowsLoaded: 102, extractSha256: '' });
    expect((await roads.rows()).typed.length).toBe(102);
  });

  test('is one batch with its twin on the staged road, whichever comes first', async () => {
    for (const first of ['typed', 'staged'] as const) {
      await using roads = await openRoads('cursors', { cursor: 'n' });
      const into = first === 'typed' ? roads.typed : roads.staged;
      const range = await roads.range();
      if (first === 'typed') await roads.loadTyped(range, { into });
      else await roads.loadStaged(range);
      const again =
        first === 'typed'
          ? await roads.loadStaged(range, 'append', into)
          : { row: await roads.loadTyped(range, { into }) };
      expect(again.row.extractSha256).toBe(first === 'typed' ? '' : 'abc');
      expect((await roads.rows())[first].length).toBe(102);
    }
  });

  test('doubles no row of a merge table whose key somebody dropped', async () => {
    const write = { merge: { key: ['n'], version: 'n' } };
    await using roads = await openRoads('cursors', { cursor: 'n', write });
    const range = await roads.range();
    const { rowsLoaded } = await roads.loadTyped(range);
    await queryAt(typedUrl(), 'DROP INDEX shop.cursors_n_idx; DELETE FROM _millrace.ledger');
    await expect(roads.loadTyped(range)).rejects.toMatchObject({ kind: 'pin-outdated' });
    await roads.map(); // makes the key again
    expect(await roads.loadTyped(range)).toMatchObject({
      rowsLoaded: 0,
      rowsSuperseded: rowsLoaded,
    });
    expect((await roads.rows()).typed.length).toBe(rowsLoaded);
  });

  test('twice at once loads once', async () => {
    await using roads = await openRoads('cursors', { cursor: 'n' });
    const range = await roads.range();
    const rows = await Promise.all([1, 2, 3].map(() => roads.loadTyped(range)));
    expect(rows.map(({ rowsLoaded }) => rowsLoaded)).toEqual([102, 102, 102]);
    expect((await roads.rows()).typed.length).toBe(102);
  });

  test('whose source dies on the way leaves nothing, and loads what is there the next time', async () => {
    await queryAt(
      sourceUrl,
      `CREATE TABLE large (id int PRIMARY KEY, text text NOT NULL);
       INSERT INTO large SELECT n, repeat(n::text, 100) FROM generate_series(1, 60000) n`,
    );
    await using roads = await openRoads('large', { cursor: 'id' });
    const range = await roads.range();
    const loading = roads.loadTyped(range);
    const killed = (async () => {
      for (;;) {
        const ended = await queryAt(
          sourceUrl,
          `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'millrace-source' AND query LIKE 'COPY%' AND state = 'active'`,
        );
        if (ended.length > 0) return;
      }
    })();
    await expect(loading).rejects.toMatchObject({ kind: 'source-unavailable' });
    await killed;
    expect((await roads.rows()).typed).toEqual([]);
    await queryAt(sourceUrl, 'DELETE FROM large WHERE id > 50000');
    expect(await roads.loadTyped(range)).toMatchObject({ rowsLoaded: 50_000 });
  });
});
