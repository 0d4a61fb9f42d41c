/** NDJSON lines with faults, and lines that only look so; each as it must end. */

export interface Parked {
  readonly raw: string | Uint8Array;
  readonly kind: string;
  readonly field?: string;
  readonly stage?: string;
}

/** Bytes of texts and numbers, one behind the other. */
export const bytes = (...parts: (string | number[])[]) =>
  Buffer.concat(parts.map((part) => Buffer.from(part as string)));
export const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);

export const parkedLines: Readonly<Record<string, Parked>> = {
  'bad JSON': { raw: '{"id": 2, "n": }', kind: 'invalid-json' },
  'a trailing comma': { raw: '{"id":3,}', kind: 'invalid-json' },
  NaN: { raw: '{"id":3,"n":NaN}', kind: 'invalid-json' },
  'leading zeros': { raw: '{"id":3,"n":007}', kind: 'invalid-json' },
  'two values': { raw: '{"id":3} {"id":4}', kind: 'invalid-json' },
  'a cut line': { raw: '{"id":3,"name":"half', kind: 'invalid-json' },
  'a byte order mark within the file': { raw: '\ufeff{"id":3}', kind: 'invalid-json' },
  'a control character in a string': { raw: '{"id":3,"name":"a\u0001b"}', kind: 'invalid-json' },
  'duplicate keys': { raw: '{"id":3,"n":1,"n":2}', kind: 'invalid-json' },
  'duplicate keys, one escaped': { raw: '{"id":3,"n":1,"\\u006e":2}', kind: 'invalid-json' },
  'duplicate keys in an array': { raw: '{"id":3,"tags":[{"k":1,"k":2}]}', kind: 'invalid-json' },
  'invalid UTF-8': {
    raw: bytes('{"id":3,"name":"', [0xff, 0xfe], '"}'),
    kind: 'invalid-encoding',
  },
  'a surrogate in UTF-8': {
    raw: bytes('{"id":3,"name":"', [0xed, 0xa0, 0x80], '"}'),
    kind: 'invalid-encoding',
  },
  'NUL in text': {
    raw: '{"id":3,"name":"a\\u0000b"}',
    kind: 'unrepresentable',
    field: 'name',
    stage: 'map',
  },
  'NUL in an array': {
    raw: '{"id":3,"tags":["a\\u0000"]}',
    kind: 'unrepresentable',
    field: 'tags',
    stage: 'map',
  },
  'NUL in a key': { raw: '{"id":3,"a\\u0000b":1}', kind: 'unrepresentable' },
  'NUL in a key of an array': {
    raw: '{"id":3,"tags":[{"\\u0000":1}]}',
    kind: 'unrepresentable',
    field: 'tags',
    stage: 'map',
  },
  'half a surrogate pair': {
    raw: '{"id":3,"name":"\\ud83d!"}',
    kind: 'unrepresentable',
    field: 'name',
    stage: 'map',
  },
  'a low surrogate in an array': {
    raw: '{"id":3,"tags":["\\ude00"]}',
    kind: 'unrepresentable',
    field: 'tags',
    stage: 'map',
  },
  '1e400': { raw: '{"id":3,"amount":1e400}', kind: 'out-of-range', field: 'amount', stage: 'map' },
  '1e-400': {
    raw: '{"id":3,"amount":1e-400}',
    kind: 'out-of-range',
    field: 'amount',
    stage: 'map',
  },
  '39 digits': {
    raw: `{"id":3,"amount":${'9'.repeat(39)}}`,
    kind: 'out-of-range',
    field: 'amount',
    stage: 'map',
  },
  '1e140000 in an array': {
    raw: '{"id":3,"tags":[1e140000]}',
    kind: 'out-of-range',
    field: 'tags',
    stage: 'load',
  },
  'text in an integer column': {
    raw: '{"id":3,"n":"seven"}',
    kind: 'type-mismatch',
    field: 'n',
    stage: 'map',
  },
  'a number as text': { raw: '{"id":3,"n":"7"}', kind: 'type-mismatch', field: 'n', stage: 'map' },
  'a boolean in an integer column': {
    raw: '{"id":3,"n":true}',
    kind: 'type-mismatch',
    field: 'n',
    stage: 'map',
  },
  'an array in an integer column': {
    raw: '{"id":3,"n":[7]}',
    kind: 'type-mismatch',
    field: 'n',
    stage: 'map',
  },
  'an object in a text column': {
    raw: '{"id":3,"name":{"first":"ada"}}',
    kind: 'type-mismatch',
    field: 'name',
    stage: 'map',
  },
  'an unknown form of date': {
    raw: '{"id":3,"day":"2 Jan 2026"}',
    kind: 'type-mismatch',
    field: 'day',
    stage: 'map',
  },
  'a date that does not exist': {
    raw: '{"id":3,"day":"2026-02-30"}',
    kind: 'type-mismatch',
    field: 'day',
    stage: 'map',
  },
  'nine digits behind the second': {
    raw: '{"id":3,"at":"2026-01-02T03:04:05.123456789Z"}',
    kind: 'type-mismatch',
    field: 'at',
    stage: 'map',
  },
  'a time without its zone': {
    raw: '{"id":3,"at":"2026-01-02T03:04:05"}',
    kind: 'type-mismatch',
    field: 'at',
    stage: 'map',
  },
  'an upper-case uuid': {
    raw: '{"id":3,"uid":"0F8FAD5B-D9CB-469F-A165-70867728950E"}',
    kind: 'type-mismatch',
    field: 'uid',
    stage: 'map',
  },
  '10,000 levels': { raw: `{"id":3,"tags":${nested(10_000)}}`, kind: 'too-deep' },
  '10,000 levels that never end': { raw: '['.repeat(10_000), kind: 'too-deep' },
  '5 MB': { raw: `{"id":3,"name":"${'x'.repeat(5_000_000)}"}`, kind: 'too-large' },
};

export interface Loaded {
  readonly line: string;
  /** Columns as `::text` shows them. */
  readonly row: Readonly<Record<string, string | null>>;
}

export const loadedLines: Readonly<Record<string, Loaded>> = {
  'an integer of 30 digits': {
    line: '{"id":100,"big":123456789012345678901234567890}',
    row: { id: '100', big: '123456789012345678901234567890' },
  },
  'the largest and smallest int64': {
    line: '{"id":9223372036854775807,"n":-9223372036854775808}',
    row: { id: '9223372036854775807', n: '-9223372036854775808' },
  },
  'decimals digit for digit': {
    line: '{"id":101,"amount":12345678901234567890.12}',
    row: { id: '101', amount: '12345678901234567890.12' },
  },
  '38 digits': {
    line: `{"id":102,"amount":-0.${'1234567890'.repeat(3)}12345678}`,
    row: { id: '102', amount: `-0.${'1234567890'.repeat(3)}12345678` },
  },
  'an exponent': { line: '{"id":103,"amount":1E5}', row: { id: '103', amount: '100000' } },
  'zeros behind the point': { line: '{"id":104,"amount":1.0}', row: { id: '104', amount: '1.0' } },
  'a small number': {
    line: '{"id":105,"amount":1e-38}',
    row: { id: '105', amount: `0.${'0'.repeat(37)}1` },
  },
  'white space everywhere': {
    line: ' { "id" : 106 , "name"\t:\t"a" } ',
    row: { id: '106', name: 'a' },
  },
  'what COPY escapes': {
    line: '{"id":107,"name":"\\\\N\\t\\n\\r\\\\.\\"\\u0001"}',
    row: { id: '107', name: '\\N\t\n\r\\."\u0001' },
  },
  'text that looks like null': {
    line: '{"id":108,"name":"\\\\N"}',
    row: { id: '108', name: '\\N' },
  },
  'empty text': { line: '{"id":109,"name":""}', row: { id: '109', name: '' } },
  null: { line: '{"id":110,"name":null}', row: { id: '110', name: null } },
  'a byte order mark at the start of a text': {
    line: '{"id":111,"name":"\ufeffa","tags":["\ufeff"]}',
    row: { id: '111', name: '\ufeffa', tags: '["\ufeff"]' },
  },
  'a surrogate pair, escaped': {
    line: '{"id":112,"name":"\\ud83d\\ude00"}',
    row: { id: '112', name: '😀' },
  },
  'a number in a text column': { line: '{"id":113,"name":1.50}', row: { id: '113', name: '1.50' } },
  'a number beyond all limits in a text column': {
    line: '{"id":114,"name":1e400}',
    row: { id: '114', name: '1e400' },
  },
  'a date in a timestamp column': {
    line: '{"id":115,"seen":"2026-05-06"}',
    row: { id: '115', seen: '2026-05-06 00:00:00' },
  },
  'six digits behind the second': {
    line: '{"id":116,"at":"2026-01-02T03:04:05.123456+05:30"}',
    row: { id: '116', at: '2026-01-01 21:34:05.123456+00' },
  },
  'a scalar where objects flatten': {
    line: '{"id":117,"address":"unknown"}',
    row: { id: '117', address: 'unknown', address_city: null },
  },
  'a key that JavaScript knows': {
    line: '{"id":118,"__proto__":"p","constructor":"c"}',
    row: { id: '118', constructor: 'c', proto: 'p' },
  },
  'negative zero': { line: '{"id":119,"amount":-0}', row: { id: '119', amount: '0' } },
  'an array of everything': {
    line: '{"id":120,"tags":[1.50,1e2,"a\\u00e9\\/",null,{"b":[]},"\\\\u0000"]}',
    row: { id: '120', tags: '[1.50, 100, "aé/", null, {"b": []}, "\\\\u0000"]' },
  },
};
