import { expect, test } from 'vitest';
import type { Mapping } from '../../../../core/mapping.ts';
import { hasNewFields } from '../../../../pipeline/mapping/new-fields.ts';

const mapping: Mapping = {
  source: 's',
  stream: 't',
  destination: 'w',
  version: 1,
  table: { schema: 's', name: 't' },
  columns: ['a', 'b.c', 'doc'].map((path) => ({
    path,
    column: path,
    type: 'json',
    by: 'automapper',
  })),
  extra: false,
};
const isNew = (path: string, known = mapping) =>
  hasNewFields(known, { stream: 't', events: 1, fields: [{ path, types: { int64: 1 } }] });

test('a field is new unless it has a column, is in one, or holds some', () => {
  expect(['a', 'b', 'b.c', 'doc', 'doc.of.any', 'a.b'].filter((path) => isNew(path))).toEqual([]);
  expect(['x', 'b.d', 'docs', 'c'].filter((path) => !isNew(path))).toEqual([]);
});

test('no field is new where a table takes all others in one column', () => {
  expect(isNew('x', { ...mapping, extra: true })).toBe(false);
});
