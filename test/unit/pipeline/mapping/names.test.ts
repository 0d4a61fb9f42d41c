import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { postgresDestination } from '../../../../connectors/postgres/index.ts';
import {
  assignColumnName,
  assignTableName,
  schemaNameOf,
} from '../../../../pipeline/mapping/names.ts';

const { naming } = postgresDestination;
const none: ReadonlySet<string> = new Set();
const columnOf = (path: string, taken = none) => assignColumnName(path, taken, naming);
const hash = (text: string) => createHash('sha256').update(text).digest('hex').slice(0, 6);

test.each([
  ['US Gross', 'us_gross'],
  ['flights-200k', 'flights_200k'],
  ['camelCase', 'camelcase'],
  ['a.b', 'a_b'],
  ['  trimmed__ ', 'trimmed'],
  ['2nd', '_2nd'],
  ['Rotten Tomatoes Rating', 'rotten_tomatoes_rating'],
])('%s becomes %s', (path, name) => {
  expect(columnOf(path)).toBe(name);
});

test('what folds to a name that is taken, reserved, ours or nothing gets six digits of its hash', () => {
  expect(columnOf('a b', new Set(['a_b']))).toBe(`a_b_${hash('a b')}`);
  expect(columnOf('ctid')).toBe(`ctid_${hash('ctid')}`);
  for (const path of ['日本', '', '___', '\u0001']) expect(columnOf(path)).toBe(`_${hash(path)}`);
  expect(columnOf('1')).toBe('_1');
  for (const path of ['_event_id', '_batch_id', '_loaded_at', '_version', '_deleted', '_extra']) {
    expect(columnOf(path)).not.toBe(path);
  }
});

test('names stay within 63 bytes, differ, and do not depend on what comes later', () => {
  const path = fc.oneof(
    fc.string({ maxLength: 100 }),
    fc.string({ unit: fc.constantFrom('a', 'A', '_', '.', 'é'), maxLength: 200 }),
  );
  const law = fc.property(fc.uniqueArray(path, { maxLength: 30 }), (paths) => {
    const taken = new Set<string>();
    for (const one of paths) {
      const name = columnOf(one, taken);
      expect(taken.has(name)).toBe(false);
      expect(Buffer.byteLength(name)).toBeLessThanOrEqual(63);
      expect(name).toMatch(/^[a-z_][a-z0-9_]*$/);
      expect(columnOf(one, taken)).toBe(name);
      taken.add(name);
    }
  });
  fc.assert(law);
});

test('two long names that are cut to the same bytes differ', () => {
  const [one, two] = ['x'.repeat(64), 'x'.repeat(65)];
  expect(columnOf(one)).toBe(`${'x'.repeat(56)}_${hash(one)}`);
  expect(columnOf(two)).not.toBe(columnOf(one));
  expect(columnOf('x'.repeat(63))).toBe('x'.repeat(63));
});

test('a name of megabytes is named at once', () => {
  expect(columnOf('ab '.repeat(1_000_000))).toHaveLength(63);
});

test('a cut never goes through a character', () => {
  const exact = { maxBytes: 10, fold: (name: string) => name };
  const law = fc.property(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }), (name) => {
    const cut = assignTableName(name, none, exact);
    expect(Buffer.byteLength(cut)).toBeLessThanOrEqual(10);
    expect(cut.isWellFormed()).toBe(true);
  });
  fc.assert(law);
});

test('schemas stay out of the ones that are not for data', () => {
  for (const source of ['_millrace', 'millrace', 'pg_catalog', 'information_schema', 'PG_x']) {
    const name = schemaNameOf(source, naming);
    expect(naming.isReservedSchema?.(name) ?? false, name).toBe(false);
  }
});
