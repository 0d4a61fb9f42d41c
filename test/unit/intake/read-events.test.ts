import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { IntakeRules } from '../../../core/intake.ts';
import { JsonFault } from '../../../formats/json/json-fault.ts';
import { readEvents, type Delivery } from '../../../intake/read-events.ts';

const rules: IntakeRules = {
  defaultStream: 'app',
  eventTypeField: null,
  allowsQueryToken: false,
  signature: null,
  maxBodyBytes: 1,
  eventsPerSecond: null,
  quotaBytes: 1,
};

type Given = Partial<Omit<Delivery, 'rules' | 'body'>> & { readonly rules?: Partial<IntakeRules> };

function read(body: string | Uint8Array, { rules: own, ...given }: Given = {}) {
  const bytes = typeof body === 'string' ? Buffer.from(body) : body;
  const all = { ...rules, ...own };
  return readEvents({ source: 'app', format: 'json', body: bytes, ...given, rules: all });
}

/** What became of each event, in short. */
function outcomes(body: string | Uint8Array, given: Given = {}) {
  return read(body, given).events.map((one) => {
    if ('rejection' in one) return one.rejection.kind;
    const { id, stream, bytes, fault } = one.event;
    const raw = Buffer.from(bytes).toString('latin1');
    return { id, stream, raw, ...(fault && { fault: fault.kind }) };
  });
}

const raws = (body: string | Uint8Array, given: Given = {}) =>
  outcomes(body, given).map((one) => (typeof one === 'string' ? one : one.raw));
const ids = (body: string, given: Given = {}) =>
  outcomes(body, given).map((one) => (typeof one === 'string' ? one : one.id));
const streams = (body: string, given: Given = {}) =>
  outcomes(body, given).map((one) => (typeof one === 'string' ? one : one.stream));

describe('the events of a body', () => {
  test('are its bytes, exactly, whatever frame they came in', () => {
    const event = fc.json({ maxDepth: 3 }).filter((text) => text.startsWith('{'));
    const space = fc.stringMatching(/^[ \t]{0,3}$/);
    const law = fc.property(fc.array(fc.tuple(event, space), { maxLength: 6 }), (parts) => {
      const texts = parts.map(([text]) => Buffer.from(text).toString('latin1'));
      const list = `[${parts.map(([text, gap]) => gap + text + gap).join(',')}]`;
      expect(raws(list)).toEqual(texts);
      const lines = parts.map(([text]) => `${text}\n`).join('\r\n\n');
      expect(raws(lines, { format: 'lines' })).toEqual(texts);
    });
    fc.assert(law);
  });

  test('one object is one event, white space around it included', () => {
    const { isBatch, events } = read(' {"a": 1}\n');
    expect(isBatch).toBe(false);
    expect(events).toMatchObject([{ event: { bytes: Buffer.from(' {"a": 1}\n') } }]);
  });

  test('objects one below the other are lines, also without saying so', () => {
    expect(raws('{"a":1}\n{"a":2}')).toEqual(['{"a":1}', '{"a":2}']);
    expect(read('{"a":1}\n{"a":2}').isBatch).toBe(true);
  });

  test('objects over several lines, one behind the other, are no body', () => {
    expect(() => read('{\n"a":1\n}\n{\n"a":2\n}\n')).toThrow(JsonFault);
    expect(() => read('{"a":1\n}\n{"a":2}')).toThrow(JsonFault);
  });

  test('an object over several lines is one event', () => {
    expect(raws('{\n"a": {}\n}')).toEqual(['{\n"a": {}\n}']);
  });

  test('are taken as they are where only their content is wrong', () => {
    const bodies = [
      '{"a":1,"a":2}',
      '{"a":1e400}',
      '{"a":123456789012345678901234567890.5}',
      '{"a":"\\ud800"}',
      '{"__proto__":1}',
      '42',
      '"text"',
    ];
    for (const body of bodies) expect(raws(body)).toEqual([body]);
    const invalidUtf8 = Buffer.from([0x7b, 0x22, 0x61, 0x22, 0x3a, 0x22, 0xff, 0x22, 0x7d]);
    expect(raws(invalidUtf8)).toEqual([invalidUtf8.toString('latin1')]);
  });

  test.each([
    '{"a":',
    '{"a":1}x',
    '[{"a":1},',
    '[{"a":1} {"a":2}]',
    'nonsense',
    "{'a':1}",
    '{"a":01}',
  ])('cannot be taken out of %s', (body) => {
    expect(() => read(body)).toThrow(JsonFault);
  });

  test('a line that is no JSON is an event of its own, between its neighbours', () => {
    const given = { format: 'lines', idempotencyKey: 'k' } as const;
    expect(outcomes('{"a":1}\n{"a":\n{"a":3}', given)).toEqual([
      { id: 'k#0', stream: 'app', raw: '{"a":1}' },
      { id: 'k#1', stream: 'app', raw: '{"a":', fault: 'invalid-json' },
      { id: 'k#2', stream: 'app', raw: '{"a":3}' },
    ]);
  });

  test('a byte order mark is not theirs', () => {
    expect(raws('\ufeff{"a":1}')).toEqual(['{"a":1}']);
  });
});

describe('limits', () => {
  const nested = (depth: number) => `${'['.repeat(depth)}1${']'.repeat(depth)}`;

  test('depth 100 is fine, 101 is rejected, alone or in a list', () => {
    expect(raws(`{"a":${nested(99)}}`)).toHaveLength(1);
    expect(outcomes(`{"a":${nested(100)}}`)).toEqual(['too-deep']);
    expect(outcomes(`{"a":${nested(100).replace('1', '')}}`)).toEqual(['too-deep']);
    expect(raws(`{"a":${nested(99).replace('1', '')}}`)).toHaveLength(1);
    expect(outcomes(`{"_metadata":{"x":${nested(99)}}}`)).toEqual(['too-deep']);
    expect(outcomes(`[{"a":${nested(100)}},{"a":1}]`)).toMatchObject([
      'too-deep',
      { stream: 'app' },
    ]);
  });

  test('no depth exhausts the stack', () => {
    expect(outcomes(`{"a":${nested(500_000)}}`)).toEqual(['too-deep']);
  });

  test('an event over 4 MiB is rejected, its neighbours are not', () => {
    const large = JSON.stringify({ a: 'x'.repeat(4 * 2 ** 20) });
    expect(outcomes(`[{"a":1},${large}]`)).toMatchObject([{ stream: 'app' }, 'too-large']);
  });
});

describe('ids', () => {
  test('the own id of an event comes first, then the key of the request, then a new one', () => {
    const own = '{"_metadata":{"@uuid":"own"}}';
    expect(ids(own, { idempotencyKey: 'k' })).toEqual(['own']);
    expect(ids('{"a":1}', { idempotencyKey: 'k' })).toEqual(['k']);
    expect(ids(`[{"a":1},${own},{"a":1}]`, { idempotencyKey: 'k' })).toEqual(['k#0', 'own', 'k#2']);
    expect(ids('{"a":1}')[0]).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-/);
  });

  test('a rejected event keeps its number: the others have the same ids when it is mended', () => {
    const bad = '{"_metadata":{"@uuid":""}}';
    expect(ids(`[${bad},{"a":1}]`, { idempotencyKey: 'k' })).toEqual(['invalid-request', 'k#1']);
  });

  test('are found under escaped keys, and nowhere else', () => {
    expect(ids('{"\\u005fmetadata":{"@\\u0075uid":"own"}}')).toEqual(['own']);
    expect(ids('{"a":{"_metadata":{"@uuid":"x"}}}', { idempotencyKey: 'k' })).toEqual(['k']);
  });

  test.each(['""', '7.5e', 'null', '{}', '"a\\u0000b"', '"\\ud800"', `"${'x'.repeat(201)}"`])(
    '%s is none',
    (id) => {
      const body = `[{"_metadata":{"@uuid":${id}}}]`;
      if (id === '7.5e') expect(() => read(body)).toThrow(JsonFault);
      else expect(outcomes(body)).toEqual(['invalid-request']);
    },
  );
});

describe('event types', () => {
  const typed = '{"kind":"k","head":{"kind":"h"},"_metadata":{"event_type":"own"}}';

  test('what the event says of itself comes before what the request says', () => {
    expect(streams(typed, { eventType: 'e', rules: { eventTypeField: 'kind' } })).toEqual(['own']);
    const plain = '{"kind":"k","head":{"kind":"h"}}';
    expect(streams(plain, { eventType: 'e', rules: { eventTypeField: 'kind' } })).toEqual(['k']);
    expect(streams(plain, { rules: { eventTypeField: 'head.kind' } })).toEqual(['h']);
    expect(streams(plain, { eventType: 'e' })).toEqual(['e']);
    expect(streams(plain)).toEqual(['app']);
  });

  test('a number names a type as it is written; null and objects name none', () => {
    const given = { rules: { eventTypeField: 'kind' } };
    expect(streams('{"kind":1.50}', given)).toEqual(['1.50']);
    expect(streams('{"kind":null}', given)).toEqual(['app']);
    expect(streams('{"kind":{"a":1}}', given)).toEqual(['app']);
  });

  test('an event without one goes to review where its source wants one', () => {
    expect(
      outcomes('[{"a":1},{"_metadata":{"event_type":"t"}}]', { rules: { defaultStream: null } }),
    ).toMatchObject([{ stream: 'app', fault: 'unmapped-stream' }, { stream: 't' }]);
  });

  test('one that cannot be a name is rejected', () => {
    expect(outcomes('[{"_metadata":{"event_type":7e}}]'.replace('7e', '{}'))).toEqual([
      'invalid-request',
    ]);
    expect(outcomes('[{"_metadata":{"event_type":"a\\nb"}}]')).toEqual(['invalid-request']);
  });
});
