import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fieldTypes, type FieldType, type ObservedType } from '../../../../core/field-types.ts';
import type { TypeCounts } from '../../../../core/mapping.ts';
import { observed, observedTypes } from '../../../../pipeline/mapping/classify.ts';
import { describeMisfit, writing, writingsOf } from '../../../../pipeline/mapping/coerce.ts';
import { firstType, widenedType } from '../../../../pipeline/mapping/lattice.ts';

const holds = (type: FieldType, seen: ObservedType) =>
  (writingsOf[type][observed[seen]] ?? 0) > writing.outOfRange;

/** The order of the design, written down once more: what holds what. */
const order: Readonly<Record<FieldType, readonly ObservedType[]>> = {
  boolean: ['boolean'],
  int64: ['int64'],
  decimal: ['int64', 'decimal'],
  date: ['date'],
  timestamp: ['date', 'timestamp'],
  timestamptz: ['timestamptz'],
  uuid: ['uuid'],
  text: [
    'boolean',
    'int64',
    'decimal',
    'outsized',
    'date',
    'timestamp',
    'timestamptz',
    'uuid',
    'text',
  ],
  json: observedTypes.filter((seen) => seen !== 'null'),
};

const counts: fc.Arbitrary<TypeCounts> = fc.dictionary(
  fc.constantFrom(...observedTypes),
  fc.oneof(fc.nat({ max: 5 }), fc.nat({ max: 2000 })),
);
const valuesOf = (types: TypeCounts) =>
  (Object.entries(types) as [ObservedType, number][]).filter(
    ([type, count]) => count > 0 && type !== 'null' && type !== 'object',
  );
const sum = (pairs: readonly [ObservedType, number][]) =>
  pairs.reduce((all, [, count]) => all + count, 0);

test('a column holds what the order of types says, and nothing else', () => {
  for (const type of fieldTypes) {
    expect(observedTypes.filter((seen) => holds(type, seen)).toSorted(), type).toEqual(
      order[type].toSorted(),
    );
  }
});

test('a number that is too large is out of range, all else is a mismatch', () => {
  expect(describeMisfit('a', 'int64', observed.outsized).kind).toBe('out-of-range');
  expect(describeMisfit('a', 'decimal', observed.outsized).kind).toBe('out-of-range');
  expect(describeMisfit('a', 'int64', observed.text)).toMatchObject({
    kind: 'type-mismatch',
    observed: 'text',
  });
  expect(describeMisfit('x'.repeat(1e6), 'int64', observed.text).message.length).toBeLessThan(300);
});

describe('the type of a field on first sight', () => {
  test('holds at least 95 % of what was seen, or everything', () => {
    const law = fc.property(counts, (types) => {
      const values = valuesOf(types);
      const type = firstType(types);
      if (type === null) {
        expect(values).toEqual([]);
        return;
      }
      const outside = sum(values.filter(([seen]) => !holds(type, seen)));
      const beyondAllNumbers = type === 'int64' || type === 'decimal' ? (types.outsized ?? 0) : 0;
      if (outside - beyondAllNumbers > 0) {
        expect(sum(values)).toBeGreaterThanOrEqual(50);
        expect((outside - beyondAllNumbers) * 20).toBeLessThanOrEqual(sum(values));
      }
    });
    fc.assert(law, { numRuns: 500 });
  });

  test('does not depend on the order in which types were counted', () => {
    const law = fc.property(counts, (types) => {
      const turned = Object.fromEntries(Object.entries(types).toReversed());
      expect(firstType(turned)).toBe(firstType(types));
    });
    fc.assert(law);
  });

  test('is not changed by nulls', () => {
    const law = fc.property(counts, fc.nat(), (types, nulls) => {
      expect(firstType({ ...types, null: nulls })).toBe(firstType(types));
    });
    fc.assert(law);
  });

  test.each<[TypeCounts, FieldType | null]>([
    [{ int64: 95, text: 5 }, 'int64'],
    [{ int64: 94, text: 6 }, 'text'],
    [{ int64: 48, text: 2 }, 'int64'],
    [{ int64: 47, text: 3 }, 'text'],
    [{ int64: 48, text: 1 }, 'text'],
    [{ int64: 60, decimal: 40 }, 'decimal'],
    [{ date: 1, timestamp: 1 }, 'timestamp'],
    [{ date: 30, timestamptz: 30 }, 'text'],
    [{ int64: 1, boolean: 1 }, 'text'],
    [{ uuid: 1, text: 1 }, 'text'],
    [{ json: 1 }, 'json'],
    [{ json: 1, text: 1 }, 'json'],
    [{ outsized: 3 }, 'text'],
    [{ int64: 3, outsized: 1 }, 'int64'],
    [{ null: 9 }, null],
    [{ object: 9, null: 1 }, null],
    [{}, null],
  ])('%j → %s', (types, type) => {
    expect(firstType(types)).toBe(type);
  });
});

describe('widening', () => {
  const type = fc.constantFrom(...fieldTypes);

  test('keeps everything that the column held', () => {
    const law = fc.property(type, counts, (current, types) => {
      const wider = widenedType(current, types);
      if (wider === null) return;
      for (const seen of observedTypes)
        if (holds(current, seen)) expect(holds(wider, seen)).toBe(true);
      expect(wider).not.toBe(current);
    });
    fc.assert(law);
  });

  test('comes to an end: a second look at the same values changes nothing', () => {
    const law = fc.property(type, counts, (current, types) => {
      const wider = widenedType(current, types) ?? current;
      expect(widenedType(wider, types)).toBeNull();
    });
    fc.assert(law);
  });

  test('stays inside the family', () => {
    const everything = Object.fromEntries(observedTypes.map((seen) => [seen, 1000]));
    const widened = fieldTypes.map((current) => [current, widenedType(current, everything)]);
    expect(widened.filter(([, wider]) => wider !== null)).toEqual([
      ['int64', 'decimal'],
      ['date', 'timestamp'],
    ]);
  });
});
