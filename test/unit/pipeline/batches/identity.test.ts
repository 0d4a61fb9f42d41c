import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { batchIdOf } from '../../../../pipeline/batches/batch-id.ts';
import { createFailuresHash, hashFailures } from '../../../../pipeline/batches/failures-hash.ts';
import { fingerprintOf, type FailurePlace } from '../../../../pipeline/review/fingerprint.ts';
import { cutRestream } from '../../../../pipeline/review/restream-cuts.ts';

describe('the id of a batch', () => {
  const place = { run: 'live' as const, source: 's', lane: 'a/b.csv', from: '0001', to: '0002' };

  test('says source, lane and range, and the run where it is not live', () => {
    expect(batchIdOf(place)).toBe('s/a/b.csv/0001..0002');
    expect(batchIdOf({ ...place, run: 'restream/r1' })).toBe('restream/r1/s/a/b.csv/0001..0002');
  });

  test('has at most 200 characters and stays different for different ranges', () => {
    const text = fc.string({ minLength: 1, maxLength: 150 });
    const law = fc.property(text, text, text, (lane, from, to) => {
      const long = { ...place, lane, from, to };
      expect(batchIdOf(long).length).toBeLessThanOrEqual(200);
      expect(batchIdOf(long)).toBe(batchIdOf({ ...long }));
      expect(batchIdOf({ ...long, to: `${to}x` })).not.toBe(batchIdOf(long));
      expect(batchIdOf({ ...long, run: 'restream/r' })).not.toBe(batchIdOf(long));
    });
    fc.assert(law);
  });

  test('keeps source and run readable where the rest is hashed', () => {
    const id = batchIdOf({ ...place, run: 'backfill/x', lane: 'l'.repeat(300) });
    expect(id).toMatch(/^backfill\/x\/s\/[0-9a-f]{32}$/);
    expect(batchIdOf({ ...place, source: 'x'.repeat(400) })).toHaveLength(200);
  });
});

test('the hash of failures depends on which failed, not on the order they were found in', () => {
  const failed = fc.record({ ordinal: fc.nat({ max: 300 }), child: fc.nat({ max: 3 }) });
  const law = fc.property(fc.array(failed), fc.array(failed), (one, two) => {
    const sorted = one.toSorted((a, b) => a.ordinal - b.ordinal || a.child - b.child);
    const hash = createFailuresHash();
    for (const event of sorted) hash.add(event);
    expect(hashFailures(one)).toBe(hash.digest());
    expect(hashFailures(one.toReversed())).toBe(hashFailures(one));
    const list = (events: typeof one) =>
      events
        .map(({ ordinal, child }) => `${ordinal}.${child}`)
        .toSorted()
        .join();
    expect(hashFailures(one) === hashFailures(two)).toBe(list(one) === list(two));
  });
  fc.assert(law);
});

describe('the fingerprint of a failure', () => {
  const failure: FailurePlace = {
    stage: 'map',
    kind: 'type-mismatch',
    source: 's',
    stream: 't',
    destination: 'w',
    field: 'a.b',
    expected: 'int64',
    observed: 'text',
    sqlState: null,
  };
  const of = (change: Partial<FailurePlace>) =>
    fingerprintOf({ ...failure, ...change }).fingerprint;

  test('differs with each part of where and how', () => {
    const changes = Object.keys(failure).map((part) => of({ [part]: 'other' }));
    expect(new Set([of({}), ...changes]).size).toBe(changes.length + 1);
    expect(of({ field: null })).not.toBe(of({ field: '' }));
  });

  test('is one for all names that are data', () => {
    const uuid = '0f8fad5b-d9cb-469f-a165-70867728950e';
    const same = [
      'scores.12345',
      `scores.${uuid}`,
      `scores.${uuid.toUpperCase()}`,
      'scores.0123456789abcdef',
    ];
    expect(new Set(same.map((field) => of({ field }))).size).toBe(1);
    expect(of({ field: '2024.2025.2026' })).toBe(of({ field: '111.222.333' }));
    expect(of({ field: 'scores.x1' })).not.toBe(of({ field: 'scores.x2' }));
  });

  test('is one for all streams that are too many', () => {
    const many = (stream: string, stage = 'map') =>
      fingerprintOf({ ...failure, kind: 'unmapped-stream', stage, stream });
    expect(many('a')).toEqual(many('b'));
    expect(many('a').stream).toBe('*');
    expect(many('a', 'parse').fingerprint).not.toBe(many('b', 'parse').fingerprint);
    expect(many('a', 'parse').stream).toBe('a');
  });

  test('has a title for people, of any length of name', () => {
    expect(fingerprintOf(failure).title).toBe('a.b: text where int64 is expected (type-mismatch)');
    expect(fingerprintOf({ ...failure, field: 'x'.repeat(1e6) }).title.length).toBeLessThan(300);
    const rejected = {
      ...failure,
      kind: 'destination-rejected',
      field: null,
      expected: null,
      sqlState: '23514',
    };
    expect(fingerprintOf(rejected).title).toBe('destination-rejected (SQLSTATE 23514)');
  });
});

test('the batches of a restream hold every event once, in order, and sort as text', () => {
  const law = fc.property(
    fc.nat({ max: 5_000 }),
    fc.integer({ min: 1, max: 700 }),
    (count, size) => {
      const cuts = cutRestream(count, size);
      expect(cuts.map(({ n }) => n)).toEqual(cuts.map((_, at) => at));
      let next = 0;
      for (const { from, to } of cuts) {
        expect(Number(from)).toBe(next);
        expect(Number(to) - Number(from)).toBeLessThanOrEqual(size);
        expect(from < to).toBe(true);
        next = Number(to);
      }
      expect(next).toBe(count);
    },
  );
  fc.assert(law);
});
