import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { findElements } from '../../../formats/json/json-elements.ts';
import { isFirstOfLines } from '../../../formats/json/json-sniff.ts';
import { documentText } from '../../support/json-documents.ts';

function elementsOf(document: string | Uint8Array, records?: string): string[] {
  const bytes = Buffer.from(document as string);
  const { starts, ends } = findElements(bytes, records);
  return Array.from(starts, (start, at) => bytes.toString('utf8', start, ends[at]));
}

describe('the records of a document', () => {
  test('are the elements of an array, each as it stands', () => {
    const law = fc.property(fc.array(documentText), (texts) => {
      expect(elementsOf(`[${texts.join(',')}]`)).toEqual(texts.map((text) => text.trim()));
      expect(elementsOf(` [ ${texts.join(' ,\n')} ] `)).toEqual(texts.map((text) => text.trim()));
    });
    fc.assert(law);
  });

  test('are the array at a path, wherever it stands', () => {
    const law = fc.property(fc.array(documentText), documentText, (texts, other) => {
      const wanted = texts.map((text) => text.trim());
      const array = `[${texts.join(',')}]`;
      expect(
        elementsOf(`{"x":${other},"data":{"y":${other},"items":${array}}}`, 'data.items'),
      ).toEqual(wanted);
      expect(elementsOf(`{"items":${array},"x":${other}}`, 'items')).toEqual(wanted);
    });
    fc.assert(law);
  });

  test('are one where the document is an object', () => {
    expect(elementsOf(' {"a":[1,2]} ')).toEqual(['{"a":[1,2]}']);
  });

  test.each([
    '[1,2',
    '[1,]',
    '[1 2]',
    '[1]]',
    '[{"a":1]',
    '[{"a" 1}]',
    '[nul]',
    '["a]',
    '',
    '[{]}',
  ])('cannot be told in %s', (document) => {
    expect(() => elementsOf(document)).toThrow(expect.objectContaining({ kind: 'invalid-json' }));
  });

  test('stay apart whatever a record itself does wrong', () => {
    const deep = `${'['.repeat(50_000)}${']'.repeat(50_000)}`;
    const texts = ['{"a":1,"a":2}', deep, '{"\\u0000":1}', '1e999'];
    expect(elementsOf(`[${texts.join(',')}]`)).toEqual(texts);
    const broken = Buffer.concat([Buffer.from('["a'), Buffer.from([0xff]), Buffer.from('",2]')]);
    expect(elementsOf(broken)).toHaveLength(2);
  });

  test('are not guessed where two arrays have the name', () => {
    expect(() => elementsOf('{"items":[1],"items":[2]}', 'items')).toThrow(/twice/);
  });

  test('have to be where the configuration says', () => {
    for (const document of ['{"other":[]}', '{"items":{}}', '{}', '5']) {
      expect(() => elementsOf(document, 'items')).toThrow(
        expect.objectContaining({ kind: 'invalid-config' }),
      );
    }
  });

  test('a document of brackets alone is refused, not a crash', () => {
    expect(() => elementsOf('['.repeat(2_000_000))).toThrow(/nested/);
  });
});

test('a file of one record a line is told from a document', () => {
  const is = (text: string) => isFirstOfLines(Buffer.from(text));
  expect(is('{"a":1}\n{"a":2}\n')).toBe(true);
  expect(is('\ufeff{"a":1,"a":1}\n{')).toBe(true);
  expect(is('{"a":1}\n')).toBe(false);
  expect(is('[{"a":1}]\n')).toBe(false);
  expect(is('{"a":\n')).toBe(false);
  expect(is('\n {"a":1}\n\n{"a":2}\n')).toBe(true);
  expect(is('{"a":1} {"a":2}\n')).toBe(true);
  expect(is('{\n  "a": 1\n}\n{\n  "a": 2\n}\n')).toBe(false);
});
