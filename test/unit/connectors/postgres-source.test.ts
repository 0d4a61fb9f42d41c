import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readCopyRows, type CopyRow } from '../../../connectors/postgres/source/copy-rows.ts';
import {
  formatCursor,
  parseCursor,
  type CursorKind,
  type CursorValue,
} from '../../../connectors/postgres/source/cursor.ts';
import { isSafe, settle } from '../../../connectors/postgres/source/horizon.ts';
import { matchTable, toPattern } from '../../../connectors/postgres/source/table-pattern.ts';

const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const value: fc.Arbitrary<CursorValue> = fc.oneof(fc.constantFrom('start', 'floor'), int64);
const kind = fc.constantFrom<CursorKind>('integer', 'timestamp', 'timestamptz');
const rank = (one: CursorValue) => (one === 'start' ? 0 : one === 'floor' ? 1 : 2);

describe('a position', () => {
  test('sorts as text like the values, and gives them back', () => {
    const law = fc.property(kind, value, value, (type, a, b) => {
      const [first, second] = [formatCursor(type, a), formatCursor(type, b)];
      expect(parseCursor(type, first)).toBe(a);
      const before = rank(a) < rank(b) || (rank(a) === 2 && rank(b) === 2 && a < b);
      expect(first < second).toBe(before);
    });
    fc.assert(law);
  });

  test('of a cursor of another type is refused', () => {
    const position = formatCursor('integer', 1n);
    expect(() => parseCursor('timestamptz', position)).toThrow(/no position in this table/);
  });
});

test('rows of COPY are the same however their bytes were cut into chunks', async () => {
  const field = fc.option(fc.uint8Array({ maxLength: 40 }), { nil: null });
  const rows = fc.array(fc.tuple(field, field), { maxLength: 20 });
  const law = fc.asyncProperty(rows, fc.integer({ min: 1, max: 50 }), async (sent, size) => {
    const bytes = encode(sent);
    const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) =>
      bytes.subarray(at * size, (at + 1) * size),
    );
    const read: CopyRow[] = [];
    for await (const found of readCopyRows(stream(chunks))) read.push(...found);
    expect(read.map(toHex)).toEqual(sent.map(toHex));
    const broken = Array.fromAsync(readCopyRows(stream([bytes.subarray(0, -1)])));
    await expect(broken).rejects.toMatchObject({ kind: 'source-unavailable' });
  });
  await fc.assert(law);
});

async function* stream(chunks: readonly Uint8Array[]): AsyncIterable<Uint8Array> {
  yield* chunks;
}

function encode(rows: readonly CopyRow[]): Uint8Array {
  const parts = [Buffer.concat([Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1'), Buffer.alloc(8)])];
  for (const row of rows) {
    parts.push(Buffer.from([0, row.length]));
    for (const field of row) {
      const length = Buffer.alloc(4);
      length.writeInt32BE(field?.length ?? -1);
      parts.push(length, Buffer.from(field ?? []));
    }
  }
  return Buffer.concat([...parts, Buffer.from([0xff, 0xff])]);
}

function toHex(row: CopyRow): readonly (string | null)[] {
  return row.map((field) => field && Buffer.from(field).toString('hex'));
}

describe('a bound', () => {
  const horizon = { clock: 100n, oldest: null, prepared: null, end: 101n };
  const pending = { bound: 7n, since: 50n };

  test('is safe once all that was open when it was read is over', () => {
    expect(settle(pending, horizon)).toEqual({ bound: 7n });
    expect(settle(pending, { ...horizon, oldest: 51n })).toEqual({ bound: 7n });
    expect(settle(pending, { ...horizon, oldest: 50n })).toEqual(pending);
  });

  test('waits for what was prepared by then, not for what is prepared later', () => {
    const waiting = settle(pending, { ...horizon, prepared: 90n });
    expect(waiting).toEqual({ bound: 7n, prepared: 101n });
    expect(isSafe(waiting)).toBe(false);
    expect(settle(waiting, { ...horizon, prepared: 101n, end: 200n })).toEqual(waiting);
    expect(settle(waiting, { ...horizon, prepared: 102n, end: 200n })).toEqual({ bound: 7n });
  });
});

test('a pattern stands for whole names', () => {
  const matches = (pattern: string, lane: string) => matchTable(toPattern(pattern), lane);
  expect(matches('public.*', 'public.orders')).toBe(true);
  expect(matches('public.*', 'sales.orders')).toBe(false);
  expect(matches('public.tmp_*', 'public.tmp_1')).toBe(true);
  expect(matches('public.a+b', 'public.aab')).toBe(false);
  expect(matches('public.orders', 'public.orders_2')).toBe(false);
});
