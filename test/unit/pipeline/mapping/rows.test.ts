import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { FieldType } from '../../../../core/field-types.ts';
import type { Mapping } from '../../../../core/mapping.ts';
import type { RecordBlock, RecordFormat } from '../../../../core/records.ts';
import { copyTextEncoding } from '../../../../connectors/postgres/encoding.ts';
import { createBlockProcessor } from '../../../../pipeline/mapping/block-processor.ts';
import { documentText, hasDuplicateKey } from '../../../support/json-documents.ts';

const limits = { maxBytes: 10_000, maxDepth: 100 };

function mappingOf(
  columns: Readonly<Record<string, FieldType>>,
  options: Partial<Mapping> & { by?: 'person' } = {},
): Mapping {
  const { by = 'automapper', ...rest } = options;
  return {
    source: 's',
    stream: 't',
    destination: 'w',
    version: 1,
    table: { schema: 's', name: 't' },
    columns: Object.entries(columns).map(([path, type], at) => ({
      path,
      column: `c${at}`,
      type,
      by,
    })),
    extra: false,
    ...rest,
  };
}

function blockOf(
  records: readonly (string | Uint8Array)[],
  format: RecordFormat = { kind: 'json' },
): RecordBlock {
  const pieces = records.map((record) => Buffer.from(record as string));
  const ends = new Uint32Array(pieces.length);
  let end = 0;
  for (const [at, { length }] of pieces.entries()) ends[at] = end += length;
  return {
    stream: 't',
    context: { format },
    bytes: Buffer.concat(pieces),
    starts: Uint32Array.from(ends, (_, at) => ends[at - 1] ?? 0),
    ends,
    idPrefix: 'id\t',
    idNumbers: Float64Array.from(pieces, (_, at) => at),
  };
}

/** COPY's text format, read back by its rules; independent of what wrote it. */
function decodeCopy(bytes: Uint8Array): (string | null)[][] {
  const lines = Buffer.from(bytes).toString('utf8').split('\n');
  expect(lines.pop()).toBe('');
  const special: Readonly<Record<string, string>> = { t: '\t', n: '\n', r: '\r' };
  return lines.map((line) =>
    line.split('\t').map((cell) => {
      expect(cell).not.toContain('\r');
      if (cell === '\\N') return null;
      return cell.replaceAll(/\\(.)/gs, (_, char: string) => special[char] ?? char);
    }),
  );
}

function map(records: readonly (string | Uint8Array)[], mapping: Mapping, format?: RecordFormat) {
  const target = {
    destination: 'w',
    batchId: 'b',
    mappings: new Map([['t', mapping]]),
    encoding: copyTextEncoding,
  };
  const processor = createBlockProcessor({ profile: true, targets: [target], limits });
  const output = processor.process(blockOf(records, format), 0);
  const [mapped] = output.targets;
  const [part] = mapped?.parts ?? [];
  return {
    rows: part ? decodeCopy(part.bytes) : [],
    ordinals: [...(part?.ordinals ?? [])],
    failures: [...output.failures, ...(mapped?.failures ?? [])],
    profile: processor.profile()[0],
  };
}

/** Cells of the mapped columns of one record. */
const cells = (...args: Parameters<typeof map>) => map(...args).rows[0]?.slice(2);

describe('rows', () => {
  test('carry any text as it is', () => {
    const law = fc.property(
      fc.array(fc.oneof(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'binary' })), {
        maxLength: 8,
      }),
      (texts) => {
        const storable = texts.filter((text) => text.isWellFormed() && !text.includes('\0'));
        const records = storable.map((text) => JSON.stringify({ a: text }));
        const { rows, failures } = map(records, mappingOf({ a: 'text' }));
        expect(failures).toEqual([]);
        expect(rows.map(([id, batch, cell]) => [id, batch, cell])).toEqual(
          storable.map((text, at) => [`id\t${at}`, 'b', text]),
        );
      },
    );
    fc.assert(law, { numRuns: 200 });
  });

  test('carry any document as the JSON it was', () => {
    const law = fc.property(
      documentText.filter((text) => !hasDuplicateKey(text)),
      (document) => {
        const { rows, failures } = map([`{"a":[${document}]}`], mappingOf({ a: 'json' }));
        if (failures.length > 0) expect(failures[0]?.kind).toBe('unrepresentable');
        else expect(rows[0]?.[2]).toBe(`[${document}]`);
      },
    );
    fc.assert(law, { numRuns: 200 });
  });

  test('and failures share the records among them: each is in exactly one', () => {
    const record = fc.oneof(
      documentText,
      fc.constantFrom('{"a":1}', '{"a":"x"}', '{"b":1}', '{', '{"a":1e99}'),
    );
    const law = fc.property(fc.array(record, { maxLength: 10 }), fc.boolean(), (records, extra) => {
      const { ordinals, failures } = map(records, mappingOf({ a: 'int64' }, { extra }));
      const places = [...ordinals, ...failures.map(({ ordinal }) => ordinal)];
      expect(places.toSorted((a, b) => a - b)).toEqual(records.map((_, at) => at));
      expect(ordinals).toEqual(ordinals.toSorted((a, b) => a - b));
      for (const { index, ordinal } of failures) expect(index).toBe(ordinal);
    });
    fc.assert(law, { numRuns: 200 });
  });

  test('take numbers as they are written', () => {
    const columns = { n: 'int64', d: 'decimal', t: 'text', j: 'json' } as const;
    const record = '{"n":-9223372036854775808,"d":1.10e-5,"t":1E400,"j":[1e400,-0]}';
    expect(cells([record], mappingOf(columns))).toEqual([
      '-9223372036854775808',
      '1.10e-5',
      '1E400',
      '[1e400,-0]',
    ]);
  });

  test('turn a date into midnight, nothing else into anything', () => {
    expect(cells(['{"a":"2026-01-02"}'], mappingOf({ a: 'timestamp' }))).toEqual([
      '2026-01-02 00:00:00',
    ]);
    expect(map(['{"a":"2026-01-02"}'], mappingOf({ a: 'timestamptz' })).failures[0]).toMatchObject({
      kind: 'type-mismatch',
      field: 'a',
      expected: 'timestamptz',
      observed: 'date',
    });
  });

  test('leave a byte order mark in its text', () => {
    for (const text of ['\ufeffa', '\ufeffa\n', '\ufeff']) {
      expect(cells([JSON.stringify({ a: text })], mappingOf({ a: 'text' }))).toEqual([text]);
    }
    const csv = { kind: 'csv', csv: { columns: ['a'], delimiter: ',' } } as const;
    expect(cells(['"\ufeff""a\\"'], mappingOf({ a: 'text' }), csv)).toEqual(['\ufeff"a\\']);
  });

  test('know null, empty text and text that looks like null apart', () => {
    const records = ['{"a":null}', '{}', '{"a":""}', '{"a":"\\\\N"}', '{"a":"NULL"}'];
    expect(map(records, mappingOf({ a: 'text' })).rows.map((row) => row[2])).toEqual([
      null,
      null,
      '',
      '\\N',
      'NULL',
    ]);
    const csv = { kind: 'csv', csv: { columns: ['a', 'b'], delimiter: ',' } } as const;
    expect(
      map([',', '"",\\N'], mappingOf({ a: 'text', b: 'text' }), csv).rows.map((row) =>
        row.slice(2),
      ),
    ).toEqual([
      [null, null],
      ['', '\\N'],
    ]);
  });

  test('with NUL or half a surrogate pair are refused, with the field that holds it', () => {
    const columns = { a: 'text', j: 'json' } as const;
    const records = ['{"a":"\\u0000"}', '{"j":["\\ud800"]}', '{"x":1,"y":["\\u0000"]}'];
    const { failures } = map(records, mappingOf(columns, { extra: true }));
    expect(failures.map(({ kind, field }) => [kind, field])).toEqual([
      ['unrepresentable', 'a'],
      ['unrepresentable', 'j'],
      ['unrepresentable', 'y'],
    ]);
    const csv = { kind: 'csv', csv: { columns: ['a'], delimiter: ',' } } as const;
    expect(
      map(['x\0y', '"x\0""y"'], mappingOf(columns), csv).failures.map(({ kind }) => kind),
    ).toEqual(['unrepresentable', 'unrepresentable']);
  });
});

describe('fields without a column', () => {
  test('go into _extra by their path, as they are written', () => {
    const record = '{"a":1,"b":1.50,"o":{"p":"x\\n","q":[1]},"a.b":null,"é":true}';
    const [, extra] = cells([record], mappingOf({ a: 'int64' }, { extra: true })) ?? [];
    expect(extra).toBe('{"b":1.50,"o.p":"x\\n","o.q":[1],"é":true}');
  });

  test('park the event where there is no _extra', () => {
    expect(map(['{"a":1,"b":2}'], mappingOf({ a: 'int64' })).failures[0]).toMatchObject({
      kind: 'unmapped-field',
      field: 'b',
    });
    expect(map(['{"a":1,"b":null,"o":{}}'], mappingOf({ a: 'int64' })).rows).toHaveLength(1);
  });

  test('beyond the names that are remembered are not lost', () => {
    const names = Array.from({ length: 10 }, (_, part) =>
      JSON.stringify(
        Object.fromEntries(Array.from({ length: 900 }, (_none, at) => [`${part}.${at}`, 1])),
      ),
    );
    const seen = map(names, mappingOf({ f0: 'int64' }, { extra: true }));
    expect(seen.rows).toHaveLength(10);
    expect(seen.profile?.moreFields).toBe(true);
    for (const row of seen.rows)
      expect(Object.keys(JSON.parse(row[3] ?? '') as object)).toHaveLength(900);
  });
});

describe('objects and scalars at one place', () => {
  test('an object is no scalar, and has its own columns where it flattens', () => {
    expect(map(['{"a":{"b":1}}'], mappingOf({ a: 'text' })).failures[0]).toMatchObject({
      kind: 'type-mismatch',
      field: 'a',
      observed: 'object',
    });
    expect(cells(['{"a":{"b":1}}'], mappingOf({ a: 'text', 'a.b': 'int64' }))).toEqual([null, '1']);
    expect(cells(['{"a":"x"}'], mappingOf({ a: 'text', 'a.b': 'int64' }))).toEqual(['x', null]);
    expect(cells(['{"a":{"b":1.0,"c":[]}}'], mappingOf({ a: 'json' }))).toEqual([
      '{"b":1.0,"c":[]}',
    ]);
  });

  test('a record that is no object has the field value', () => {
    expect(cells(['5'], mappingOf({ value: 'int64' }))).toEqual(['5']);
    expect(cells(['[1,2]'], mappingOf({ value: 'json' }))).toEqual(['[1,2]']);
  });
});

test('where a person chose the type, a string may be read as it', () => {
  const order = (type: FieldType) => mappingOf({ a: type }, { by: 'person' });
  expect(cells(['{"a":"12"}'], order('int64'))).toEqual(['12']);
  expect(cells(['{"a":"true"}'], order('boolean'))).toEqual(['true']);
  expect(cells(['{"a":12}'], order('text'))).toEqual(['12']);
  expect(cells(['{"a":"12"}'], order('json'))).toEqual(['"12"']);
  expect(map(['{"a":"012"}'], order('int64')).failures[0]).toMatchObject({ kind: 'type-mismatch' });
});

test('a profile counts every value once, by path and type', () => {
  const value = fc.constantFrom<[string, string]>(
    ['1', 'int64'],
    ['1.5', 'decimal'],
    ['"x"', 'text'],
    ['null', 'null'],
    ['[1]', 'json'],
    ['true', 'boolean'],
    ['"2026-01-02"', 'date'],
  );
  const record = fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd'), value, {
    noNullPrototype: true,
  });
  const law = fc.property(fc.array(record, { minLength: 1, maxLength: 30 }), (records) => {
    const wanted: Record<string, Record<string, number>> = {};
    for (const fields of records) {
      for (const [name, [, type]] of Object.entries(fields)) {
        const types = (wanted[name] ??= {});
        types[type] = (types[type] ?? 0) + 1;
      }
    }
    const texts = records.map(
      (fields) =>
        `{${Object.entries(fields)
          .map(([name, [text]]) => `"${name}":${text}`)
          .join(',')}}`,
    );
    const { profile } = map([...texts, '{"a":'], mappingOf({}));
    expect(profile?.events).toBe(records.length);
    expect(
      Object.fromEntries((profile?.fields ?? []).map(({ path, types }) => [path, types])),
    ).toEqual(wanted);
  });
  fc.assert(law);
});

test('a record over the limit is parked whole, whatever it holds', () => {
  const { failures } = map([`"${'x'.repeat(10_001)}"`, '{"a":1}'], mappingOf({ a: 'int64' }));
  expect(failures).toMatchObject([{ kind: 'too-large', ordinal: 0, stage: 'parse' }]);
});

describe('events of a stream without a mapping', () => {
  const process = (options: { readonly parksUnmapped?: true }) => {
    const encoding = copyTextEncoding;
    const target = { destination: 'w', batchId: 'b', mappings: new Map(), encoding, ...options };
    const processor = createBlockProcessor({ profile: false, targets: [target], limits });
    return processor.process(blockOf(['{"a": 1}', '{', '{"a": 2}']), 5).targets[0];
  };

  test('are counted, so that their batch is mapped again', () => {
    expect(process({})).toMatchObject({ parts: [], failures: [], unmappedEvents: 2 });
  });

  test('are parked where what is mapped now stays so', () => {
    const { parts, failures } = process({ parksUnmapped: true }) ?? {};
    expect(parts).toEqual([]);
    expect(failures).toMatchObject([
      { ordinal: 5, stage: 'map', kind: 'unmapped-stream' },
      { ordinal: 7, stage: 'map', kind: 'unmapped-stream' },
    ]);
  });
});

describe('rows of a part of the fields', () => {
  const process = (records: readonly string[]) => {
    const mappings = new Map([['t', mappingOf({ id: 'int64', at: 'text' })]]);
    const target = { destination: 'w', batchId: 'b', mappings, encoding: copyTextEncoding };
    const options = { profile: false, targets: [{ ...target, partial: true as const }], limits };
    return createBlockProcessor(options).process(blockOf(records), 0).targets[0];
  };

  test('have no eye for others, whatever these hold', () => {
    const found = process(['{"id": 1, "at": "x", "n": "bad", "of": {"any": []}}', '{"id": "no"}']);
    expect(found?.parts.map(({ bytes }) => decodeCopy(bytes))).toEqual([
      [['id\t0', 'b', '1', 'x']],
    ]);
    expect(found?.failures).toMatchObject([{ ordinal: 1, field: 'id', kind: 'type-mismatch' }]);
  });
});
