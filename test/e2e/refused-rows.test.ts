import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { must } from '../../core/errors.ts';
import { expectBytes, failedRows } from '../support/failed-rows.ts';
import { startInstance, type TestInstance } from '../support/instance.ts';

/** Tables that somebody changed by hand, and columns whose type a person chose. */
const config = `
destinations:
  warehouse: { type: postgres }
sources:
  data:
    type: file
    root: data
    settleSeconds: 0
    streams:
      guarded: { path: "guarded/*.ndjson" }
      chosen: { path: "chosen/*.ndjson" }
pipelines:
  data: { source: data, destinations: [warehouse] }
`;

let instance: TestInstance;
beforeAll(async () => {
  instance = await startInstance({ config });
}, 120_000);
afterAll(() => instance?.[Symbol.asyncDispose]());

const sync = (codes = [0, 5]) => instance.json(['sync'], codes);

describe('a table with rules of its own', () => {
  const line = (id: number, rest: object) =>
    JSON.stringify({ id, n: 1, name: 'a', code: 'b', ...rest });
  const names = ['id', 'n', 'name', 'code'];

  beforeAll(async () => {
    await instance.write('data/guarded/a.ndjson', `${line(1, {})}\n`);
    await sync();
    await instance.warehouse(`
      ALTER TABLE data.guarded
        ADD CONSTRAINT n_is_positive CHECK (n > 0), ALTER COLUMN name SET NOT NULL,
        ALTER COLUMN code TYPE varchar(3)`);
    const lines = Array.from({ length: 3000 }, (_, at) => line(100 + at, {}));
    lines[0] = line(100, { n: -1 });
    lines[7] = line(107, { name: null });
    lines[8] = line(108, { code: 'four' });
    lines[2999] = line(3099, { n: 0 });
    await instance.write('data/guarded/b.ndjson', `${lines.join('\n')}\n`);
    await sync();
  });

  test('parks what it refuses with SQLSTATE and column, and loads the rest', async () => {
    const found = await failedRows(instance, 'guarded');
    expect(
      found.map(({ line: at, kind, stage, field, sql_state }) => [
        at,
        kind,
        stage,
        field,
        sql_state,
      ]),
    ).toEqual([
      [1, 'destination-rejected', 'load', null, '23514'],
      [8, 'missing-required', 'load', 'name', '23502'],
      [9, 'value-too-long', 'load', 'code', '22001'],
      [3000, 'destination-rejected', 'load', null, '23514'],
    ]);
    expectBytes(must(found[0]), line(100, { n: -1 }));
    expect(found[0]?.message).toContain('n_is_positive');
    const [counts] = await instance.warehouse(
      'SELECT count(*)::int AS n, count(DISTINCT id)::int AS ids FROM data.guarded',
    );
    expect(counts).toEqual({ n: 2997, ids: 2997 });
  });

  test('gets back a column that somebody dropped, by a renewed pin', async () => {
    await instance.warehouse('ALTER TABLE data.guarded DROP COLUMN code');
    await instance.write('data/guarded/c.ndjson', `${line(5000, { code: 'new' })}\n`);
    await sync();
    const rows = await instance.warehouse('SELECT code FROM data.guarded WHERE id = 5000');
    expect(rows).toEqual([{ code: 'new' }]);
    const columns = await instance.warehouse<{ name: string }>(
      `SELECT column_name AS name FROM information_schema.columns
        WHERE table_schema = 'data' AND table_name = 'guarded' AND column_name NOT LIKE '\\_%'`,
    );
    expect(columns.map(({ name }) => name).sort()).toEqual(names.toSorted());
  });

  test('parks a row that a deferred constraint refuses, and loads the others', async () => {
    await instance.warehouse(
      'ALTER TABLE data.guarded ADD CONSTRAINT one_id UNIQUE (id) DEFERRABLE INITIALLY DEFERRED',
    );
    const lines = [line(5000, {}), line(5001, {})];
    await instance.write('data/guarded/d.ndjson', `${lines.join('\n')}\n`);
    await instance.cli('sync');
    const [loaded] = await instance.warehouse(
      'SELECT count(*)::int AS n, count(DISTINCT id)::int AS ids FROM data.guarded WHERE id >= 5000',
    );
    expect(loaded).toEqual({ n: 2, ids: 2 });
    const refused = await instance.catalog<{ kind: string; sql_state: string; raw: Buffer }>(
      `SELECT kind, sql_state, raw FROM millrace.failed_events WHERE sql_state = '23505'`,
    );
    expect(refused).toMatchObject([{ kind: 'destination-rejected' }]);
    expect(refused[0]?.raw.toString()).toBe(line(5000, {}));
  });
});

describe('a type chosen by a person', () => {
  const set = (field: string, type: string) =>
    instance.cli('mapping', 'set', 'data', 'chosen', field, '--type', type);
  const typesOf = async () => {
    const rows = await instance.warehouse<{ name: string; type: string }>(
      `SELECT column_name AS name, data_type AS type FROM information_schema.columns
        WHERE table_schema = 'data' AND table_name = 'chosen'`,
    );
    return Object.fromEntries(rows.map(({ name, type }) => [name, type]));
  };

  beforeAll(async () => {
    const first = {
      id: 1,
      n: 5,
      at: '2026-01-02T03:04:05',
      zoned: '2026-01-02T23:04:05-05:00',
      code: '12',
      free: 'x',
    };
    await instance.write('data/chosen/a.ndjson', `${JSON.stringify(first)}\n`);
    await instance.write(
      'data/chosen/b.ndjson',
      '{"id":2,"n":"twelve","free":[1]}\n{"id":3,"n":"013"}\n{"id":4,"n":true}\n',
    );
    await sync();
  });

  test('never cuts a value that stands in the table', async () => {
    const before = await typesOf();
    for (const [field, type] of [
      ['at', 'date'],
      ['zoned', 'timestamp'],
      ['zoned', 'date'],
      ['free', 'int64'],
      ['at', 'timestamptz'],
    ]) {
      const { code, stderr } = await set(field as string, type as string);
      expect({ field, type, code }).toEqual({ field, type, code: 1 });
      expect(stderr).toContain('SQLSTATE');
    }
    expect(await typesOf()).toEqual(before);
    const [row] = await instance.warehouse('SELECT at::text, free FROM data.chosen WHERE id = 1');
    expect(row).toEqual({ at: '2026-01-02 03:04:05', free: 'x' });
  });

  test('crosses families with the rows that are there, and retried events load as they were', async () => {
    expect((await set('n', 'text')).code).toBe(0);
    expect((await set('code', 'int64')).code).toBe(0);
    expect((await set('free', 'json')).code).toBe(0);
    for (const { groupId } of await instance.json<{ groupId: string }[]>([
      'failed',
      'list',
      '--stream',
      'chosen',
    ])) {
      await instance.json(['failed', 'retry', groupId], [0, 5]);
    }
    const rows = await instance.warehouse(
      'SELECT id::int, n, code::int, free FROM data.chosen ORDER BY id',
    );
    expect(rows).toEqual([
      { id: 1, n: '5', code: 12, free: 'x' },
      { id: 2, n: 'twelve', code: null, free: [1] },
      { id: 3, n: '013', code: null, free: null },
      { id: 4, n: 'true', code: null, free: null },
    ]);
  });
});
