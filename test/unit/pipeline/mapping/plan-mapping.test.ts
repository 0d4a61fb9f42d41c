import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fieldTypes, toFieldPath } from '../../../../core/field-types.ts';
import type { ImportedSchema } from '../../../../core/source.ts';
import type { Mapping, StreamProfile, TypeCounts } from '../../../../core/mapping.ts';
import { postgresDestination } from '../../../../connectors/postgres/index.ts';
import { observedTypes } from '../../../../pipeline/mapping/classify.ts';
import { planMapping, setFieldType } from '../../../../pipeline/mapping/plan-mapping.ts';

const { naming } = postgresDestination;

type Fields = Readonly<Record<string, TypeCounts>>;

function plan(
  fields: Fields,
  current: Mapping | null = null,
  moreFields = false,
  imported: ImportedSchema | null = null,
) {
  const profile: StreamProfile = {
    stream: 'events',
    events: 100,
    fields: Object.entries(fields).map(([path, types]) => ({ path, types })),
    ...(moreFields && { moreFields: true }),
  };
  return planMapping({
    source: 's',
    stream: 'events',
    destination: 'w',
    current,
    profile,
    imported,
    write: {},
    naming,
    schemaName: 's',
    tableName: 'events',
  });
}

const typesOf = ({ mapping }: { readonly mapping: Mapping }) =>
  Object.fromEntries(mapping.columns.map(({ path, type }) => [path, type]));

const path = fc
  .array(fc.constantFrom('a', 'b', 'A', 'c.d', 'é', '1', ''), { minLength: 1, maxLength: 3 })
  .map(toFieldPath);
const counts = fc.dictionary(fc.constantFrom(...observedTypes), fc.integer({ min: 1, max: 200 }), {
  minKeys: 1,
});
const profile = fc.dictionary(path, counts, { noNullPrototype: true });

describe('a plan', () => {
  test('never drops, renames or narrows a column, whatever comes', () => {
    const law = fc.property(fc.array(profile, { minLength: 2, maxLength: 4 }), (profiles) => {
      let current: Mapping | null = null;
      for (const fields of profiles) {
        const { mapping, changed } = plan(fields, current);
        for (const [at, before] of (current?.columns ?? []).entries()) {
          const now = mapping.columns[at];
          expect(now).toMatchObject({ path: before.path, column: before.column });
          const allowed = { int64: ['decimal'], date: ['timestamp'] }[before.type as string] ?? [];
          expect([before.type, ...allowed]).toContain(now?.type);
        }
        expect(mapping.version).toBe((current?.version ?? 0) + (changed ? 1 : 0));
        const names = mapping.columns.map(({ column }) => column);
        expect(new Set(names).size).toBe(names.length);
        current = mapping;
      }
    });
    fc.assert(law);
  });

  test('is the same for the same input, and nothing the second time', () => {
    const law = fc.property(profile, (fields) => {
      const first = plan(fields);
      expect(plan(fields)).toEqual(first);
      expect(plan(fields, first.mapping)).toEqual({
        mapping: first.mapping,
        changed: false,
        changes: [],
      });
    });
    fc.assert(law);
  });

  test('gives every value a place: a column, one above it, or columns below it', () => {
    const law = fc.property(profile, (fields) => {
      const columns = typesOf(plan(fields));
      for (const [field, types] of Object.entries(fields)) {
        const scalars = Object.keys(types).some((type) => type !== 'null' && type !== 'object');
        if (!scalars) continue;
        const segments = field.split(/(?<!\\)\./);
        const held = segments.some((_, at) => segments.slice(0, at + 1).join('.') in columns);
        expect(held, field).toBe(true);
      }
    });
    fc.assert(law);
  });

  test('goes by the majority of at least 50 values', () => {
    expect(typesOf(plan({ a: { int64: 95, text: 5 } }))).toEqual({ a: 'int64' });
    expect(typesOf(plan({ a: { int64: 40, text: 2 } }))).toEqual({ a: 'text' });
    expect(typesOf(plan({ a: { object: 95, text: 5 }, 'a.b': { int64: 95 } }))).toEqual({
      a: 'text',
      'a.b': 'int64',
    });
    expect(typesOf(plan({ a: { object: 5, int64: 95 }, 'a.b': { int64: 5 } }))).toEqual({
      a: 'int64',
    });
    expect(typesOf(plan({ a: { object: 5, int64: 5 }, 'a.b': { int64: 5 } }))).toEqual({
      a: 'json',
    });
  });

  test('adds a column for scalars where objects had columns before, none for objects below a scalar', () => {
    const flat = plan({ a: { object: 3 }, 'a.b': { int64: 3 } }).mapping;
    expect(typesOf(plan({ a: { text: 1 } }, flat))).toEqual({ 'a.b': 'int64', a: 'text' });
    const scalar = plan({ a: { int64: 3 } }).mapping;
    expect(plan({ a: { object: 1 }, 'a.b': { int64: 1 } }, scalar).changed).toBe(false);
  });

  test('gives no column to what is always null or an empty object', () => {
    expect(typesOf(plan({ a: { null: 9 }, b: { object: 9 }, c: { int64: 1 } }))).toEqual({
      c: 'int64',
    });
  });

  test('takes the types that the source declares, objects in one column where it says so', () => {
    const imported: ImportedSchema = {
      stream: 'events',
      fields: [
        { path: 'n', type: 'int64' },
        { path: 'o', type: 'json' },
        { path: 'price', type: 'decimal' },
      ],
    };
    const fields: Fields = {
      n: { null: 100 },
      o: { object: 100 },
      'o.a': { int64: 100 },
      price: { int64: 100 },
    };
    const { mapping } = plan(fields, null, false, imported);
    expect(typesOf({ mapping })).toEqual({ n: 'int64', o: 'json', price: 'decimal' });
    expect(plan(fields, mapping).changed).toBe(false);
  });

  test('has at most 800 columns; the others go into _extra, then and later', () => {
    const many = Object.fromEntries(
      Array.from({ length: 1000 }, (_, at) => [`f${at}`, { int64: 1 }]),
    );
    const { mapping } = plan(many);
    expect(mapping.columns).toHaveLength(800);
    expect(mapping.extra).toBe(true);
    expect(plan({ ...many, late: { text: 1 } }, mapping).changed).toBe(false);
    expect(plan({ f0: { decimal: 1 } }, mapping).changed).toBe(true);
  });

  test('keeps fields that are too many to be told apart in _extra', () => {
    const { mapping } = plan({ a: { int64: 1 } }, null, true);
    expect(mapping.extra).toBe(true);
    const grown = plan({ a: { int64: 1 } }, plan({ a: { int64: 1 } }).mapping, true);
    expect(grown).toMatchObject({ changed: true, mapping: { version: 2, extra: true } });
  });
});

describe('an order by a person', () => {
  const { mapping } = plan({ a: { int64: 3 }, 'o.b': { text: 1 } });

  test('may choose any type and is never changed by what comes', () => {
    for (const type of fieldTypes) {
      const ordered = setFieldType(mapping, { field: 'a', type });
      expect(ordered).toMatchObject({ changed: true, mapping: { version: 2 } });
      const everything = Object.fromEntries(observedTypes.map((seen) => [seen, 500]));
      expect(plan({ a: everything }, ordered.mapping).mapping.columns[0]).toMatchObject({
        type,
        by: 'person',
      });
      expect(setFieldType(ordered.mapping, { field: 'a', type }).changed).toBe(false);
    }
  });

  test('is refused where rows would sort otherwise by their version', () => {
    const merged = { ...mapping, merge: { key: ['o.b'], version: 'a' } };
    for (const type of ['text', 'json'] as const) {
      expect(() => setFieldType(merged, { field: 'a', type })).toThrow(
        'which of two rows is newer',
      );
      expect(setFieldType(merged, { field: 'o.b', type }).changed).toBe(true);
    }
    expect(setFieldType(merged, { field: 'a', type: 'decimal' }).changed).toBe(true);
  });

  test('is refused where there is no such field, or an object', () => {
    expect(() => setFieldType(mapping, { field: 'x', type: 'text' })).toThrow(
      /has no field x.*it has a, o\.b/s,
    );
    expect(() => setFieldType(mapping, { field: 'o', type: 'json' })).toThrow(
      /columns of their own/,
    );
  });
});
