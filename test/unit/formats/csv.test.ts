import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CsvBoundaries } from '../../../formats/csv/csv-boundaries.ts';
import { readCsvHeader } from '../../../formats/csv/csv-header.ts';
import { CsvReader } from '../../../formats/csv/csv-reader.ts';
import { PathTree } from '../../../formats/path-tree.ts';
import { token } from '../../../formats/record-tape.ts';

type Cell = string | null;

const delimiters = fc.constantFrom(',', ';', '\t', '|');
const cell: fc.Arbitrary<Cell> = fc.oneof(
  fc.constant(null),
  fc.string({
    unit: fc.constantFrom('a', '"', ',', ';', '\t', '|', '\n', '\r', ' ', 'é', '😀', '\\'),
  }),
  fc.string({ unit: 'grapheme' }),
);
const table = fc.integer({ min: 2, max: 5 }).chain((width) =>
  fc.array(fc.array(cell, { minLength: width, maxLength: width }), {
    minLength: 1,
    maxLength: 6,
  }),
);

/** A cell as RFC 4180 writes it; quotes where they are needed, or always. */
function write(value: Cell, delimiter: string, always: boolean): string {
  if (value === null) return '';
  const needed = value === '' || /["\n\r]/.test(value) || value.includes(delimiter);
  return needed || always ? `"${value.replaceAll('"', '""')}"` : value;
}

function readerOf(width: number, delimiter: string) {
  const columns = Array.from({ length: width }, (_, at) => `c${at}`);
  return new CsvReader({ kind: 'csv', csv: { columns, delimiter } }, new PathTree());
}

function cellsOf({ tape }: CsvReader, bytes: Uint8Array): Cell[] {
  return Array.from({ length: tape.count }, (_, at) => {
    const text = Buffer.from(bytes).toString('utf8', tape.starts[at], tape.ends[at]);
    if (tape.tokens[at] === token.null) return null;
    return tape.tokens[at] === token.quotedCell ? text.replaceAll('""', '"') : text;
  });
}

/** Ends of records when the bytes come in pieces of these sizes. */
function endsInPieces(bytes: Uint8Array, delimiter: string, sizes: readonly number[]): number[] {
  const boundaries = new CsvBoundaries(delimiter);
  const ends: number[] = [];
  let at = 0;
  for (let n = 0; at < bytes.length; n += 1) {
    const size = sizes[n % sizes.length] ?? bytes.length;
    for (const end of boundaries.ends(bytes.subarray(at, at + size))) ends.push(at + end);
    at += size;
  }
  return ends;
}

describe('CSV', () => {
  test('every table comes back cell by cell', () => {
    const law = fc.property(table, delimiters, fc.boolean(), (rows, delimiter, always) => {
      const text = rows.map(
        (row) => `${row.map((value) => write(value, delimiter, always)).join(delimiter)}\r\n`,
      );
      const bytes = Buffer.from(text.join(''));
      const reader = readerOf(rows[0]?.length ?? 0, delimiter);
      let start = 0;
      const found = endsInPieces(bytes, delimiter, [bytes.length]).map((end) => {
        const fault = reader.read(bytes, start, end - 2);
        start = end;
        return fault ?? cellsOf(reader, bytes);
      });
      expect(found).toEqual(rows);
    });
    fc.assert(law, { numRuns: 200 });
  });

  test('records end at the same places however the bytes are cut', () => {
    const text = 'a,"b\n""c\r\n",d\r\n"",x\n"open""\n",y\nz 5" q,1\n\n,,\n"é\n😀",\n';
    const bytes = Buffer.from(text);
    const whole = endsInPieces(bytes, ',', [bytes.length]);
    expect(whole.map((end) => bytes[end - 1])).toEqual(whole.map(() => 10));
    expect(whole).toHaveLength(7);
    for (let cut = 1; cut < bytes.length; cut += 1) {
      expect(endsInPieces(bytes, ',', [cut]), `pieces of ${cut}`).toEqual(whole);
      expect(endsInPieces(bytes, ',', [cut, bytes.length]), `cut at ${cut}`).toEqual(whole);
    }
    const law = fc.property(
      fc.string({ unit: fc.constantFrom('"', ',', '\n', 'a', '\r') }),
      fc.integer({ min: 1, max: 9 }),
      (any, size) => {
        const some = Buffer.from(any);
        expect(endsInPieces(some, ',', [size])).toEqual(endsInPieces(some, ',', [some.length]));
      },
    );
    fc.assert(law);
  });

  test.each([
    ['too few cells', 'a,b'],
    ['too many cells', 'a,b,c,d'],
    ['a quote that stays open', 'a,b,"c'],
    ['something behind a closing quote', 'a,"b"x,c'],
    ['a space behind a closing quote', 'a,"b" ,c'],
  ])('%s is a bad row', (_, row) => {
    const bytes = Buffer.from(row);
    expect(readerOf(3, ',').read(bytes, 0, bytes.length)?.kind).toBe('invalid-csv');
  });

  test('a row that is no UTF-8 is a bad row, its neighbours are not', () => {
    const bytes = Buffer.concat([Buffer.from('é,b'), Buffer.from([0xff, 0x2c, 0x62])]);
    const reader = readerOf(2, ',');
    expect(reader.read(bytes, 0, 4)).toBeNull();
    expect(reader.read(bytes, 4, 7)?.kind).toBe('invalid-encoding');
  });

  test('reads nothing behind the end of its record', () => {
    const bytes = Buffer.from('a,"b","');
    expect(readerOf(2, ',').read(bytes, 0, 5)).toBeNull();
    expect(readerOf(2, ',').read(bytes, 0, 4)?.kind).toBe('invalid-csv');
  });

  test('the header names every column once', () => {
    const names = (line: string, delimiter = ',') => readCsvHeader(Buffer.from(line), delimiter);
    expect(names('id,name')).toEqual(['id', 'name']);
    expect(names(' id ,"a, ""b"""')).toEqual(['id', 'a, "b"']);
    expect(names('a,,a,')).toEqual(['a', 'column_2', 'a_3', 'column_4']);
    expect(names('a_3,x,a_3')).toEqual(['a_3', 'x', 'a_3_3']);
    expect(names('a;b', ';')).toEqual(['a', 'b']);
    const law = fc.property(
      fc.array(fc.constantFrom('a', 'a_2', '', 'column_1', 'b')),
      (columns) => {
        const found = names(columns.join(','));
        expect(new Set(found).size).toBe(found.length);
      },
    );
    fc.assert(law);
  });
});
