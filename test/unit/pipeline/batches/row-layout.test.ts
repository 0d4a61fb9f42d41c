import { expect, test } from 'vitest';
import type { Mapping } from '../../../../core/mapping.ts';
import { hashLayout } from '../../../../pipeline/batches/row-layout.ts';

const mapping: Mapping = {
  source: 'shop',
  stream: 'orders',
  destination: 'warehouse',
  version: 3,
  table: { schema: 'shop', name: 'orders' },
  columns: [
    { path: 'id', column: 'id', type: 'int64', by: 'automapper' },
    { path: 'paid', column: 'paid', type: 'boolean', by: 'automapper' },
  ],
  extra: false,
};

test('is the same for versions that encode alike, whoever chose them', () => {
  const columns = mapping.columns.map((column) => ({ ...column, by: 'person' as const }));
  expect(hashLayout({ ...mapping, version: 4, columns })).toBe(hashLayout(mapping));
});

test.each<[string, Partial<Mapping>]>([
  ['another column', { columns: mapping.columns.slice(1) }],
  ['another order', { columns: mapping.columns.toReversed() }],
  ['another type', { columns: mapping.columns.map((one) => ({ ...one, type: 'text' as const })) }],
  ['another field', { columns: mapping.columns.map((one) => ({ ...one, path: `${one.path}2` })) }],
  ['another table', { table: { schema: 'shop', name: 'orders_2' } }],
  ['the rest of the fields', { extra: true }],
  ['a key', { merge: { key: ['id'] } }],
  ['a version', { merge: { key: ['id'], version: 'paid' } }],
  ['full refreshes', { replace: true }],
])('differs with %s', (_what, change) => {
  expect(hashLayout({ ...mapping, ...change })).not.toBe(hashLayout(mapping));
});
