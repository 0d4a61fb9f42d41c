import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { token } from '../../../../formats/record-tape.ts';
import {
  classify,
  classifyCell,
  classifyNumber,
  classifyString,
  observedTypes,
} from '../../../../pipeline/mapping/classify.ts';
import { numberText } from '../../../support/json-documents.ts';

const read =
  (rule: (bytes: Uint8Array, start: number, end: number) => number) => (text: string) => {
    const bytes = Buffer.from(`>${text}<`);
    return observedTypes[rule(bytes, 1, bytes.length - 1)];
  };
const ofNumber = read(classifyNumber);
const ofString = read(classifyString);
const ofCell = read(classifyCell);

/** Digits and places of a number, from its text alone. */
function measure(text: string) {
  const [, whole = '', fraction = '', exponent = '0'] =
    /^-?(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text) ?? [];
  const digits = (whole + fraction).replace(/^0+/, '');
  const power = Number(exponent) - fraction.length + digits.length - 1;
  return { digits: digits.length, power, exponent: Number(exponent) };
}

describe('numbers', () => {
  test('are int64 exactly where they are whole and fit', () => {
    const law = fc.property(fc.bigInt({ min: -(10n ** 20n), max: 10n ** 20n }), (n) => {
      const fits = n >= -(2n ** 63n) && n < 2n ** 63n;
      expect(ofNumber(String(n))).toBe(fits ? 'int64' : 'decimal');
    });
    fc.assert(law);
    const edges = [
      '9223372036854775807',
      '-9223372036854775808',
      '9223372036854775808',
      '-9223372036854775809',
    ];
    expect(edges.map(ofNumber)).toEqual(['int64', 'int64', 'decimal', 'decimal']);
  });

  test('are decimal within 38 digits and 10^±38, outsized beyond, never anything else', () => {
    const law = fc.property(numberText, (text) => {
      const { digits, power, exponent } = measure(text);
      const seen = ofNumber(text);
      if (seen === 'int64') {
        expect(BigInt.asIntN(64, BigInt(text))).toBe(BigInt(text));
        return;
      }
      const small = digits === 0 ? Math.abs(exponent) <= 76 : digits <= 38 && Math.abs(power) <= 38;
      expect(seen, text).toBe(small ? 'decimal' : 'outsized');
    });
    fc.assert(law, { numRuns: 500 });
  });

  test('keep what their text says', () => {
    const texts = [
      '-0',
      '1.0',
      '1e3',
      '1E400',
      '1e-38',
      '1e-39',
      '9e38',
      '1e39',
      `0.${'0'.repeat(37)}1`,
    ];
    expect(texts.map(ofNumber)).toEqual([
      'decimal',
      'decimal',
      'decimal',
      'outsized',
      'decimal',
      'outsized',
      'decimal',
      'outsized',
      'decimal',
    ]);
    expect(ofNumber('9'.repeat(38))).toBe('decimal');
    expect(ofNumber('9'.repeat(39))).toBe('outsized');
    expect(ofNumber('1'.repeat(1_000_000))).toBe('outsized');
  });
});

describe('strings', () => {
  test('never are numbers or booleans', () => {
    const law = fc.property(
      fc.oneof(numberText, fc.constantFrom('true', 'false', 'null')),
      (text) => {
        expect(ofString(text)).toBe('text');
      },
    );
    fc.assert(law);
  });

  test('are dates where the calendar has them', () => {
    const law = fc.property(
      fc.integer({ min: 0, max: 9999 }),
      fc.nat({ max: 13 }),
      fc.nat({ max: 32 }),
      (...parts) => {
        const [year, month, day] = parts.map((n, at) => String(n).padStart(at === 0 ? 4 : 2, '0'));
        const text = `${year}-${month}-${day}`;
        const date = new Date(`${text}T00:00:00Z`);
        const exists =
          !Number.isNaN(date.getTime()) && date.toISOString().startsWith(text) && parts[0] > 0;
        expect(ofString(text), text).toBe(exists ? 'date' : 'text');
      },
    );
    fc.assert(law, { numRuns: 500 });
  });

  test.each([
    ['2026-01-02T03:04:05', 'timestamp'],
    ['2026-01-02 03:04', 'timestamp'],
    ['2026-01-02T03:04:05.123456', 'timestamp'],
    ['2026-01-02T03:04:05.123456Z', 'timestamptz'],
    ['2026-01-02T03:04:05+05:30', 'timestamptz'],
    ['2026-01-02T03:04:05-0800', 'timestamptz'],
    ['2026-01-02T03:04:05+01', 'timestamptz'],
    ['2024-02-29', 'date'],
    ['2026-02-29', 'text'],
    ['1900-02-29', 'text'],
    ['0000-01-01', 'text'],
    ['2026-01-02T24:00:00', 'text'],
    ['2026-01-02T03:60:00', 'text'],
    ['2026-01-02T03:04:60', 'text'],
    ['2026-01-02T03:04:05.1234567', 'text'],
    ['2026-01-02T03:04:05.', 'text'],
    ['2026-01-02T03:04:05z', 'text'],
    ['2026-01-02T03:04:05+15:00', 'text'],
    ['2026-01-02T', 'text'],
    ['2026-01-02 ', 'text'],
    ['2026-1-2', 'text'],
    ['20260102', 'text'],
    ['02-01-2026', 'text'],
    ['+010000-01-01', 'text'],
    ['-000001-01-01', 'text'],
    ['２０２６-01-02', 'text'],
    ['0f8fad5b-d9cb-469f-a165-70867728950e', 'uuid'],
    ['0F8FAD5B-D9CB-469F-A165-70867728950E', 'text'],
    ['{0f8fad5b-d9cb-469f-a165-70867728950e}', 'text'],
    ['0f8fad5bd9cb469fa16570867728950e', 'text'],
    ['', 'text'],
  ])('%s is %s', (text, type) => {
    expect(ofString(text)).toBe(type);
  });
});

describe('CSV cells', () => {
  test.each([
    ['7', 'int64'],
    ['-7', 'int64'],
    ['0', 'int64'],
    ['999999999999999999', 'int64'],
    ['1000000000000000000', 'text'],
    ['1.50', 'decimal'],
    ['1e5', 'decimal'],
    ['-0.1', 'decimal'],
    ['1e400', 'outsized'],
    ['1234567890.1234567890', 'text'],
    ['007', 'text'],
    ['-07', 'text'],
    ['00.5', 'text'],
    ['+7', 'text'],
    ['-0', 'text'],
    ['.5', 'text'],
    ['5.', 'text'],
    ['1,5', 'text'],
    ['1 000', 'text'],
    [' 7', 'text'],
    ['0x1F', 'text'],
    ['NaN', 'text'],
    ['Infinity', 'text'],
    ['true', 'boolean'],
    ['false', 'boolean'],
    ['True', 'text'],
    ['yes', 'text'],
    ['2026-01-02', 'date'],
    ['-', 'text'],
    ['', 'text'],
  ])('%s is %s', (text, type) => {
    expect(ofCell(text)).toBe(type);
  });

  test('that are whole numbers come out as they went in', () => {
    const law = fc.property(
      fc.oneof(fc.stringMatching(/^[-+]?\d{1,22}$/), fc.bigInt().map(String)),
      (text) => {
        const seen = ofCell(text);
        expect(['int64', 'text']).toContain(seen);
        if (seen === 'int64') expect(String(BigInt(text))).toBe(text);
      },
    );
    fc.assert(law);
  });
});

test('a cell with doubled quotes and a string with escapes are text', () => {
  const bytes = Buffer.from('2026-01-02');
  for (const kind of [token.quotedCell, token.escaped]) {
    expect(observedTypes[classify(kind, bytes, 0, bytes.length)]).toBe('text');
  }
});
