import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { windowOf } from '../../../connectors/postgres/source/asked-window.ts';
import { readCopyRows, type CopyRow } from '../../../connectors/postgres/source/copy-rows.ts';
import {
  formatCursor,
  formatGeneration,
  parseCursor,
  type CursorKind,
  type CursorValue,
} from '../../../connectors/postgres/source/cursor.ts';
import { isSafe, settle } from '../../../connectors/postgres/source/horizon.ts';
import {
  formatPoint,
  isBehind,
  parsePoint,
  type CursorPoint,
} from '../../../connectors/postgres/source/point.ts';
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
    const within = formatPoint('integer', { value: 1n, hash: 'a'.repeat(24) });
    expect(() => parsePoint('timestamptz', within)).toThrow(/no position in this table/);
  });

  test('within the rows of one value sorts behind those before it, and before their end', () => {
    const hash = fc.option(
      fc
        .uint8Array({ minLength: 12, maxLength: 12 })
        .map((bytes) => Buffer.from(bytes).toString('hex')),
      { nil: undefined },
    );
    const point: fc.Arbitrary<CursorPoint> = fc
      .tuple(value, hash)
      .map(([at, part]) =>
        at === 'start' || part === undefined ? { value: at } : { value: at, hash: part },
      );
    const law = fc.property(kind, point, point, fc.boolean(), (type, a, other, same) => {
      const b = same ? { ...other, value: a.value === 'start' ? 'floor' : a.value } : other;
      const [first, second] = [formatPoint(type, a), formatPoint(type, b)];
      expect(parsePoint(type, first)).toEqual(a);
      expect(first < second).toBe(compare(a, b) < 0);
      if (typeof b.value === 'bigint') {
        expect(isBehind(b.value, a)).toBe(compare(a, { value: b.value }) < 0);
      }
    });
    fc.assert(law, { numRuns: 1_000 });
  });
});

function compare(a: CursorPoint, b: CursorPoint): number {
  if (rank(a.value) !== rank(b.value)) return rank(a.value) - rank(b.value);
  if (a.value !== b.value) return a.value < b.value ? -1 : 1;
  const [first = 'z', second = 'z'] = [a.hash, b.hash]; // all of them come last
  return first === second ? 0 : first < second ? -1 : 1;
}

describe('a window of a backfill', () => {
  const positionOf = (time: string) =>
    formatCursor('timestamptz', BigInt(Date.parse(time)) * 1000n);
  const byTime = { name: 'public.orders', head: positionOf('2026-06-01T00:00:00Z'), memo: '' };
  const byLocalTime = { ...byTime, head: formatCursor('timestamp', 1n) };
  const byNumber = { ...byTime, head: formatCursor('integer', 1_000n) };

  test('is what lies between two times, both of them included', () => {
    const { from, to } = windowOf(byTime, { from: '2026-01-31', to: '2026-02-01T10:00+02:00' });
    expect(from).toBe(formatCursor('timestamptz', BigInt(Date.UTC(2026, 0, 31)) * 1000n - 1n));
    expect(to).toBe(positionOf('2026-02-01T08:00:00Z'));
    expect(windowOf(byTime, { from: '2026-02-01 08:00:00.000001Z' })).toEqual({
      from: positionOf('2026-02-01T08:00:00Z'),
    });
    expect(windowOf(byLocalTime, { to: '1970-01-01' })).toEqual({
      to: formatCursor('timestamp', 0n),
    });
  });

  test('is what lies between two numbers, or two positions', () => {
    const window = {
      from: formatCursor('integer', 9n),
      to: formatCursor('integer', 20n),
    };
    expect(windowOf(byNumber, { from: '10', to: '20' })).toEqual(window);
    expect(windowOf(byNumber, window)).toEqual(window);
    expect(windowOf(byNumber, { from: '-9223372036854775808' })).toEqual({
      from: formatCursor('integer', -(2n ** 63n) - 1n),
    });
  });

  test('takes the rows that were read in parts', () => {
    const hash = '0123456789abcdef01234567';
    const [before, part] = [{ value: 9n }, { value: 10n, hash }] as const;
    const { from = '', to = '' } = windowOf(byNumber, { from: '10', to: '10' });
    for (const [start, end] of [[before, part] as const, [part, { value: 10n }] as const]) {
      expect(formatPoint('integer', end) > from).toBe(true);
      expect(formatPoint('integer', start) < to).toBe(true);
    }
  });

  test.each([
    [byTime, { from: 'yesterday' }, /--from has to be a date or time such as/],
    [byTime, { to: '2026-02-30' }, /--to has to be a date or time/],
    [byTime, { from: '12' }, /--from has to be a date or time/],
    [byTime, { from: '2026-02-02', to: '2026-02-01' }, /--from lies behind --to/],
    [byLocalTime, { from: '2026-02-01T00:00Z' }, /without a time zone/],
    [byNumber, { from: '2026-02-01' }, /--from has to be a whole number/],
    [byNumber, { to: '9223372036854775808' }, /--to has to be a whole number/],
    [byNumber, { from: byTime.head }, /no position in this table/],
  ])('%# is refused with what is understood', (lane, asked, says) => {
    expect(() => windowOf(lane, asked)).toThrow(says);
  });

  test('says nothing about tables that are read as a whole, and holds no rows without a value', () => {
    const whole = { ...byTime, head: formatGeneration(3) };
    expect(windowOf(whole, { from: '2026-02-01' })).toEqual({});
    expect(windowOf(byTime, {})).toEqual({});
    const floor = { ...byTime, head: formatCursor('integer', 'floor') };
    expect(windowOf(floor, { from: '1' })).toEqual({ to: formatCursor('integer', 'start') });
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
