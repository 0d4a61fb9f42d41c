import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { toFieldPath } from '../../../core/field-types.ts';
import { hasUnstorableEscape } from '../../../formats/json/escapes.ts';
import { JsonReader } from '../../../formats/json/json-reader.ts';
import { PathTree } from '../../../formats/path-tree.ts';
import { token } from '../../../formats/record-tape.ts';
import {
  documentText,
  hasDuplicateKey,
  renderWith,
  written,
  type Written,
} from '../../support/json-documents.ts';

const limits = { maxBytes: 2 ** 22, maxDepth: 100 };

function readerOf(tree = new PathTree()) {
  const reader = new JsonReader(tree, limits);
  const read = (text: string | Uint8Array) => {
    const bytes = Buffer.from(text as string);
    return { fault: reader.read(bytes, 0, bytes.length), bytes };
  };
  return { reader, read, tree };
}

const kinds = Object.fromEntries(Object.entries(token).map(([name, code]) => [code, name]));

/** The tape in words: path, kind, text as it stands. */
function tapeOf({ reader, tree }: ReturnType<typeof readerOf>, bytes: Buffer) {
  const { tape } = reader;
  return Array.from({ length: tape.count }, (_, at) => {
    const text = bytes.toString('utf8', tape.starts[at], tape.ends[at]);
    return [tree.pathOf(tape.nodes[at] as number), kinds[tape.tokens[at] as number], text];
  });
}

const isStorableName = (name: string) => !name.includes('\0') && name.isWellFormed();

/** What the tape must hold: fields in order, objects followed by their own fields. */
function flatten(value: Written, path: readonly string[]): unknown[] {
  const name = toFieldPath(path);
  const text = renderWith(value, () => '');
  if (value.kind === 'object') {
    if (path.length >= 5) return [[name, 'deepObject', text]];
    const inner = value.fields.flatMap(([key, item]) => flatten(item, [...path, key]));
    return path.length === 0 ? inner : [[name, 'object', text], ...inner];
  }
  const place = path.length === 0 ? 'value' : name;
  if (value.kind !== 'string') return [[place, value.kind, text]];
  const inside = text.slice(1, -1);
  return [[place, inside.includes('\\') ? 'escaped' : 'string', inside]];
}

/** Names of fields that get a path of their own. */
function flattenedNames(value: Written, depth = 0): string[] {
  if (value.kind !== 'object' || depth >= 5) return [];
  return value.fields.flatMap(([name, item]) => [name, ...flattenedNames(item, depth + 1)]);
}

function accepts(text: string): boolean {
  try {
    JSON.parse(text);
  } catch {
    return false;
  }
  return !hasDuplicateKey(text);
}

describe('which documents are JSON', () => {
  test('sound documents without duplicate keys, as JSON.parse has them', () => {
    const { read } = readerOf();
    const law = fc.property(documentText, (text) => {
      const { fault } = read(text);
      if (fault?.kind === 'unrepresentable') return; // a name with NUL; see below
      expect(fault === null).toBe(accepts(text));
    });
    fc.assert(law, { numRuns: 300 });
  });

  test('not those that somebody changed, unless they are sound again', () => {
    const { read } = readerOf();
    const change = fc.record({
      at: fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
      cut: fc.nat({ max: 3 }),
      put: fc.constantFrom(
        ...'{}[]",:\\0123456789eE+-. ntfu\n\t'.split(''),
        '',
        '"a":1,',
        '\\u00',
        ',,',
        '\ufeff',
      ),
    });
    const law = fc.property(
      documentText,
      fc.array(change, { minLength: 1, maxLength: 3 }),
      (text, changes) => {
        const broken = changes.reduce((now, { at, cut, put }) => {
          const place = Math.floor(at * now.length);
          return now.slice(0, place) + put + now.slice(place + cut);
        }, text);
        if (!broken.isWellFormed()) return;
        const { fault } = read(broken);
        if (fault?.kind === 'unrepresentable') return;
        expect(fault === null, broken).toBe(accepts(broken));
      },
    );
    fc.assert(law, { numRuns: 600 });
  });

  test.each([
    ['a key twice', '{"a":1,"a":2}'],
    ['a key twice, one escaped', '{"a":1,"\\u0061":2}'],
    ['a key twice in an array', '{"a":[{"b":1,"b":1}]}'],
    ['a key twice in a deep object', '{"a":{"b":{"c":{"d":{"e":{"f":1,"f":1}}}}}}'],
    ['a trailing comma', '[1,]'],
    ['a comma alone', '{,}'],
    ['NaN', '{"a":NaN}'],
    ['Infinity', '-Infinity'],
    ['a hexadecimal number', '0x1F'],
    ['leading zeros', '007'],
    ['a plus sign', '+1'],
    ['a point without digits', '1.'],
    ['a point at the start', '.5'],
    ['an exponent without digits', '1e'],
    ['single quotes', "{'a':1}"],
    ['a comment', '{"a":1}//'],
    ['a control character', '"\u0001"'],
    ['an unknown escape', '"\\x41"'],
    ['half an escape', '"\\u12"'],
    ['nothing', ''],
    ['a byte order mark', '\ufeff{}'],
    ['no-break space', '\u00a0{}'],
    ['a word cut short', 'nul'],
    ['an end without a start', '}'],
  ])('not %s', (_, text) => {
    expect(readerOf().read(text).fault?.kind).toBe('invalid-json');
  });

  test('not what is no UTF-8', () => {
    for (const bytes of [
      [0xff],
      [0xc0, 0x80],
      [0xed, 0xa0, 0x80],
      [0xf4, 0x90, 0x80, 0x80],
      [0xe2, 0x82],
    ]) {
      const line = Buffer.concat([Buffer.from('{"a":"'), Buffer.from(bytes), Buffer.from('"}')]);
      expect(readerOf().read(line).fault?.kind).toBe('invalid-encoding');
    }
  });

  test('none deeper than the limit, and none so deep that the stack would end', () => {
    const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);
    const objects = (depth: number) => '{"a":'.repeat(depth) + '1' + '}'.repeat(depth);
    for (const make of [nested, objects]) {
      expect(readerOf().read(make(100)).fault).toBeNull();
      expect(readerOf().read(make(101)).fault?.kind).toBe('too-deep');
      expect(readerOf().read(make(200_000)).fault?.kind).toBe('too-deep');
    }
  });

  test('no name that cannot be stored', () => {
    for (const name of ['\\u0000', 'a\\ud800', '\\udc00b']) {
      expect(readerOf().read(`{"${name}":1}`).fault?.kind).toBe('unrepresentable');
    }
    expect(readerOf().read('{"\\ud83d\\ude00":1}').fault).toBeNull();
  });

  test('a fault never quotes the record', () => {
    const law = fc.property(fc.string({ minLength: 8 }), (text) => {
      const { fault } = readerOf().read(`{"a":${text}`);
      expect(fault?.message).not.toContain(text);
    });
    fc.assert(law);
  });
});

describe('the fields of a record', () => {
  test('stand on the tape in order, each as it is written', () => {
    const shared = readerOf();
    const law = fc.property(written, (value) => {
      if (!flattenedNames(value).every(isStorableName)) return;
      const { fault, bytes } = shared.read(renderWith(value, () => ''));
      expect(fault).toBeNull();
      expect(tapeOf(shared, bytes)).toEqual(flatten(value, []));
    });
    fc.assert(law, { numRuns: 300 });
  });

  test('are told apart beyond the number of names that are remembered', () => {
    const shared = readerOf();
    for (let record = 0; record < 3; record += 1) {
      const names = Array.from({ length: 10_000 }, (_, at) => `k${record % 2}_${at}`);
      const { fault, bytes } = shared.read(
        JSON.stringify(Object.fromEntries(names.map((name) => [name, 1]))),
      );
      expect(fault).toBeNull();
      expect(tapeOf(shared, bytes).map(([path]) => path)).toEqual(names);
    }
    const twice = `{${Array.from({ length: 9_000 }, (_, at) => `"n${at}":1`).join(',')},"n8999":2}`;
    expect(shared.read(twice).fault?.kind).toBe('invalid-json');
  });

  test('a faulty record leaves nothing behind for the next', () => {
    const shared = readerOf();
    const law = fc.property(documentText, written, (before, value) => {
      if (!flattenedNames(value).every(isStorableName)) return;
      shared.read(before.slice(0, -1));
      const { fault, bytes } = shared.read(renderWith(value, () => ''));
      expect(fault).toBeNull();
      expect(tapeOf(shared, bytes)).toEqual(flatten(value, []));
    });
    fc.assert(law);
  });
});

test('an escape that cannot be stored is seen wherever it stands', () => {
  const unstorable = (value: unknown): boolean => {
    if (typeof value === 'string') return !isStorableName(value);
    if (typeof value !== 'object' || value === null) return false;
    return Object.entries(value).some(([name, item]) => !isStorableName(name) || unstorable(item));
  };
  const unit = fc.constantFrom(
    '\\u0000',
    '\\ud83d',
    '\\ude00',
    '\\ud83d\\ude00',
    '\\\\u0000',
    '\\\\',
    'a',
    '\\u00e9',
    '\\n',
  );
  const text = fc.array(unit, { maxLength: 6 }).map((parts) => `"${parts.join('')}"`);
  const law = fc.property(text, text, (name, value) => {
    const json = `[{${name}:[1,${value}]},${value}]`;
    expect(hasUnstorableEscape(json), json).toBe(unstorable(JSON.parse(json)));
  });
  fc.assert(law, { numRuns: 300 });
});
