import { describe, expect, test } from 'vitest';
import type { LedgerRow, LoadRequest } from '../../../../core/destination.ts';
import type { ImportedSchema } from '../../../../core/source.ts';
import {
  chooseRoad,
  commonFormat,
  misfitOf,
  profileOf,
  type RoadFacts,
} from '../../../../pipeline/batches/choose-road.ts';
import { sameContent } from '../../../../pipeline/batches/same-content.ts';

const straight: RoadFacts = {
  run: 'live',
  stream: 'orders',
  destinations: 1,
  mayResend: false,
  hasRecords: false,
  given: ['postgres-text'],
  taken: ['postgres-text'],
};

describe('the road of a batch', () => {
  test('is typed, live and in a backfill, where nothing has to be looked at', () => {
    expect(chooseRoad(straight)).toBe('typed');
    expect(chooseRoad({ ...straight, run: 'backfill/one' })).toBe('typed');
  });

  test.each<Partial<RoadFacts>>([
    { run: 'restream/one' },
    { stream: null },
    { destinations: 2 },
    { destinations: 0 },
    { mayResend: true },
    { hasRecords: true },
    { given: [] },
    { taken: [] },
  ])('is staged with %j', (fact) => {
    expect(chooseRoad({ ...straight, ...fact })).toBe('staged');
  });

  test('has the format that both ends know', () => {
    expect(commonFormat(straight)).toBe('postgres-text');
    expect(commonFormat({ given: [], taken: ['postgres-text'] })).toBeNull();
  });
});

const schema: ImportedSchema = {
  stream: 'orders',
  fields: [
    { path: 'id', type: 'int64' },
    { path: 'details', type: 'json' },
  ],
};
const columns = [
  { path: 'id', column: 'id', type: 'int64', by: 'automapper' },
  { path: 'details', column: 'details', type: 'json', by: 'automapper' },
  { path: 'gone', column: 'gone', type: 'text', by: 'automapper' },
] as const;

describe('whole rows', () => {
  test('fit into columns of the declared types, and leave others empty', () => {
    expect(misfitOf({ columns }, schema)).toBeNull();
  });

  test('fit into no column that is missing or of another type, nor into json by order', () => {
    expect(misfitOf({ columns: columns.slice(1) }, schema)).toContain('id');
    const [id, details] = columns;
    expect(misfitOf({ columns: [{ ...id, type: 'decimal' }, details] }, schema)).toContain(
      'decimal',
    );
    expect(misfitOf({ columns: [id, { ...details, by: 'person' }] }, schema)).toContain('details');
  });

  test('have the profile of their declared types', () => {
    expect(profileOf(schema)).toEqual({
      stream: 'orders',
      events: 1,
      fields: [
        { path: 'id', types: { int64: 1 } },
        { path: 'details', types: { json: 1 } },
      ],
    });
  });
});

describe('a row that stands in the ledger', () => {
  const check = (standing: Partial<LedgerRow>, claim: Partial<LoadRequest['claim']>) => () =>
    sameContent(
      { from: 'a', to: 'b', extractSha256: 'one', ...standing } as LedgerRow,
      { claim: { from: 'a', to: 'b', extractSha256: 'one', ...claim } } as LoadRequest,
    );

  test('is of this batch where the hashes are equal, or either attempt has none', () => {
    expect(check({}, {})).not.toThrow();
    expect(check({ extractSha256: '' }, {})).not.toThrow();
    expect(check({}, { extractSha256: '' })).not.toThrow();
  });

  test('is of another one where hash or range differ', () => {
    const conflict = expect.objectContaining({ kind: 'ledger-conflict' });
    expect(check({ extractSha256: 'two' }, {})).toThrow(conflict);
    expect(check({ extractSha256: '', to: 'c' }, {})).toThrow(conflict);
    expect(check({ from: 'z' }, { extractSha256: '' })).toThrow(conflict);
  });
});
