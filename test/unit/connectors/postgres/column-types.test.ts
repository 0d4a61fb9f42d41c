import { describe, expect, test } from 'vitest';
import { takesUnchanged } from '../../../../connectors/postgres/column-types.ts';
import { fieldTypes, type FieldType } from '../../../../core/field-types.ts';

describe('a column takes what was mapped for another type', () => {
  test.each<[FieldType, readonly string[]]>([
    ['boolean', ['boolean', 'text', 'character varying', 'character varying(5)']],
    ['int64', ['bigint', 'integer', 'smallint', 'numeric', 'numeric(20,0)', 'numeric(20,3)']],
    ['decimal', ['numeric', 'text']],
    ['date', ['date', 'timestamp without time zone', 'text']],
    ['timestamp', ['timestamp without time zone', 'timestamp(6) without time zone', 'text']],
    ['timestamptz', ['timestamp with time zone', 'timestamp(6) with time zone', 'text']],
    ['uuid', ['uuid', 'text']],
    ['text', ['text', 'character varying', 'character varying(3)', 'citext', 'public.citext']],
    ['json', ['jsonb', 'json', 'text']],
  ])('%s unchanged, or refuses it aloud', (type, columns) => {
    for (const column of columns)
      expect([column, takesUnchanged(type, column)]).toEqual([column, true]);
  });

  test.each<[FieldType, readonly string[]]>([
    ['boolean', ['bigint', 'jsonb', 'bit(1)']],
    ['int64', ['double precision', 'real', 'numeric(20,-2)', 'money', 'boolean', 'oid', 'jsonb']],
    ['decimal', ['bigint', 'numeric(10,2)', 'double precision', 'real', 'money']],
    ['date', ['timestamp with time zone', 'character(10)']],
    ['timestamp', ['date', 'timestamp with time zone', 'timestamp(3) without time zone']],
    ['timestamptz', ['date', 'timestamp without time zone', 'timestamp(0) with time zone']],
    ['uuid', ['bytea', 'character(36)']],
    ['text', ['bigint', 'date', 'jsonb', 'uuid', 'boolean', 'bytea', 'character(3)', 'name']],
    ['json', ['text[]', 'bytea']],
  ])('%s never where its type would turn the value silently', (type, columns) => {
    for (const column of columns)
      expect([column, takesUnchanged(type, column)]).toEqual([column, false]);
  });

  test('any type where it is an enum: it has the value as it is, or none', () => {
    for (const type of fieldTypes) expect(takesUnchanged(type, 'enum')).toBe(type === 'text');
  });
});
