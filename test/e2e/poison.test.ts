import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { expectBytes, failedRows, summarize } from '../support/failed-rows.ts';
import { startInstance, type TestInstance } from '../support/instance.ts';
import { csvHeader, csvRows } from '../support/poison/csv-rows.ts';
import {
  bytes,
  loadedLines,
  nested,
  parkedLines,
  type Loaded,
  type Parked,
} from '../support/poison/json-lines.ts';

/**
 * A clean file fixes the columns of a stream; then a file full of faults comes. Every good line
 * must load exactly, every bad one be parked with its bytes.
 */
const config = `
destinations:
  warehouse: { type: postgres }
sources:
  data:
    type: file
    root: data
    settleSeconds: 0
    streams:
      events: { path: "events/*.ndjson" }
      rows: { path: "rows/*.csv" }
      tabs: { path: "tabs/*.tsv" }
      document: { path: "documents/*.json", records: items }
pipelines:
  data: { source: data, destinations: [warehouse] }
`;

const clean = {
  id: 1,
  n: 7,
  big: 12,
  amount: 1.5,
  name: 'ada',
  at: '2026-01-02T03:04:05Z',
  day: '2026-01-02',
  seen: '2026-01-02T03:04:05',
  flag: true,
  uid: '0f8fad5b-d9cb-469f-a165-70867728950e',
  tags: [1, { k: 'v' }],
  address: { city: 'Oslo' },
};

let instance: TestInstance;
beforeAll(async () => {
  instance = await startInstance({ config });
}, 120_000);
afterAll(() => instance?.[Symbol.asyncDispose]());

const sync = (codes: number[]) => instance.json(['sync'], codes);

describe('a poison NDJSON file after a clean one', () => {
  const lines: { raw: Buffer; parked?: Parked; loaded?: Loaded }[] = [];
  for (const parked of Object.values(parkedLines)) {
    lines.push({ raw: Buffer.from(parked.raw as string), parked });
    lines.push({ raw: Buffer.from('{"id":50,"n":50}') });
  }
  for (const loaded of Object.values(loadedLines)) {
    lines.push({ raw: Buffer.from(loaded.line), loaded });
  }
  const newline = (at: number) => (at % 2 === 0 ? '\n' : '\r\n');
  const places = new Map<number, Parked>();

  beforeAll(async () => {
    await instance.write('data/events/a.ndjson', `\ufeff${JSON.stringify(clean)}\n`);
    await sync([0]);
    const content: Buffer[] = [];
    let line = 0;
    for (const [at, { raw, parked }] of lines.entries()) {
      line += 1;
      if (parked) places.set(line, parked);
      content.push(raw, Buffer.from(newline(at)));
      if (at % 5 === 0) {
        content.push(Buffer.from('  \r\n\n'));
        line += 2;
      }
    }
    await instance.write('data/events/b.ndjson', Buffer.concat(content));
    await sync([5]);
  });

  test('parks each bad line with its kind, field and bytes', async () => {
    const found = await failedRows(instance, 'events');
    expect(found.map(summarize)).toEqual(
      [...places].map(([line, { kind, field = null, stage = 'parse' }]) =>
        summarize({ line, kind, field, stage, state: 'open' }),
      ),
    );
    for (const row of found) expectBytes(row, places.get(row.line)?.raw);
  });

  test('loads every good line between them, once', async () => {
    const [counts] = await instance.warehouse(
      `SELECT count(*)::int AS rows, count(DISTINCT _event_id)::int AS events,
              count(*) FILTER (WHERE id = 50)::int AS between FROM data.events`,
    );
    const good = 1 + places.size + Object.keys(loadedLines).length;
    expect(counts).toEqual({ rows: good, events: good, between: places.size });
  });

  test.each(Object.entries(loadedLines))('loads %s exactly', async (_, { row }) => {
    const columns = Object.keys(row).map((name) => `"${name}"::text`);
    const rows = await instance.warehouse(
      `SELECT ${columns.join(', ')} FROM data.events WHERE id = $1`,
      [row['id']],
    );
    expect(rows).toEqual([row]);
  });
});

describe('a poison CSV file after a clean one', () => {
  const isParked = (what: object | undefined): what is Parked =>
    what !== undefined && 'raw' in what;
  const parked = csvRows.map(([, what]) => what).filter(isParked);

  beforeAll(async () => {
    await instance.write('data/rows/a.csv', `${csvHeader}\n1,7,1.25,ada,x\n`);
    await instance.write('data/tabs/a.tsv', 'a\tb\n1\tx\n\t\n\n2\t\n');
    await sync([5]);
    const lines = csvRows.flatMap(([line]) => [Buffer.from(line as string), Buffer.from('\r\n')]);
    await instance.write(
      'data/rows/b.csv',
      Buffer.concat([bytes(`\ufeff${csvHeader}\r\n`), ...lines]),
    );
    await sync([5]);
  });

  test('parks each bad row with its kind, column and bytes', async () => {
    const found = await failedRows(instance, 'rows');
    expect(found.map(({ kind, field, stage }) => ({ kind, field, stage }))).toEqual(
      parked.map(({ kind, field = null, stage = 'parse' }) => ({ kind, field, stage })),
    );
    for (const [at, row] of found.entries()) expectBytes(row, parked[at]?.raw);
    expect(found[0]?.line).toBe(3);
    expect(found[2]?.line).toBe(12); // behind a cell of three lines
  });

  test('loads the others cell by cell', async () => {
    for (const [, what] of csvRows) {
      if (!what || isParked(what)) continue;
      const columns = Object.keys(what).map((name) => `"${name}"::text`);
      const sql = `SELECT ${columns.join(', ')} FROM data.rows WHERE id = $1`;
      expect(await instance.warehouse(sql, [what['id']])).toEqual([what]);
    }
  });

  test('takes a row of empty cells between tabs for a row, an empty line for nothing', async () => {
    const found = await instance.warehouse(
      'SELECT a::int, b FROM data.tabs ORDER BY length(_event_id), _event_id',
    );
    expect(found).toEqual([
      { a: 1, b: 'x' },
      { a: null, b: null },
      { a: 2, b: null },
    ]);
  });
});

describe('a JSON document with bad elements', () => {
  const elements: readonly (readonly [string | Uint8Array, Omit<Parked, 'raw'>?])[] = [
    ['{"id": 1, "n": 1}'],
    ['{"id": 2, "n": 1, "n": 2}', { kind: 'invalid-json' }],
    [`{"id": 3, "n": ${nested(10_000)}}`, { kind: 'too-deep' }],
    [bytes('{"id": 4, "name": "', [0xc3], '"}'), { kind: 'invalid-encoding' }],
    ['{"id": 5, "a\\u0000": 1}', { kind: 'unrepresentable' }],
    ['{"id": 6, "n": 6}'],
  ];

  test('loads the good elements and parks the others on their own', async () => {
    const content = elements.map(([element], at) =>
      bytes(at === 0 ? '' : ',\n', [...Buffer.from(element as string)]),
    );
    await instance.write(
      'data/documents/a.json',
      Buffer.concat([bytes('{"items": ['), ...content, bytes(']}')]),
    );
    await sync([5]);
    const found = await failedRows(instance, 'document');
    const wanted = elements.filter(([, fault]) => fault);
    expect(found.map(({ kind }) => kind)).toEqual(wanted.map(([, fault]) => fault?.kind));
    for (const [at, row] of found.entries()) expectBytes(row, wanted[at]?.[0]);
    expect(await instance.warehouse('SELECT id::int FROM data.document ORDER BY id')).toEqual([
      { id: 1 },
      { id: 6 },
    ]);
  });
});
