import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { jsonRowEncoding } from '../../../../connectors/kit/json-rows.ts';
import { postgresDestination } from '../../../../connectors/postgres/index.ts';
import type { EncodedIds } from '../../../../core/destination.ts';
import type { RowEncoding } from '../../../../core/mapping.ts';
import { findPreceded } from '../../../../pipeline/batches/find-preceded.ts';

type Event = readonly [id: string, sha256: string];

/** In chunks of a few bytes: rows and characters are cut. */
function idsOf(events: readonly Event[], encoding: RowEncoding, chunkBytes = 7): EncodedIds {
  const { separator, terminator } = encoding;
  const rows = events.map(
    ([id, sha256], at) => [encoding.escape(id), sha256, String(at)].join(separator) + terminator,
  );
  const bytes = Buffer.from(rows.join(''));
  return {
    async *read() {
      for (let at = 0; at < bytes.length; at += chunkBytes) {
        yield bytes.subarray(at, at + chunkBytes);
      }
    },
  };
}

const encodings = [jsonRowEncoding, postgresDestination.encoding];
const event = fc.tuple(
  fc.oneof(
    fc.constantFrom('a', 'b', 'c', 'é\t"x', 'line\nline', '\\'),
    fc.string({ minLength: 1 }),
  ),
  fc.constantFrom('1f', '2f'),
);

describe('events behind others that were received before them', () => {
  test('are those whose id an earlier batch has first with other bytes', async () => {
    const batches = fc.array(fc.array(event, { maxLength: 12 }), { maxLength: 4 });
    const law = fc.asyncProperty(
      fc.array(event, { maxLength: 12 }),
      batches,
      fc.constantFrom(...encodings),
      async (own, earlier, encoding) => {
        const first = new Map<string, string>();
        for (const [id, sha256] of earlier.flat()) if (!first.has(id)) first.set(id, sha256);
        const expected = [...own.entries()]
          .filter(([, [id, sha256]]) => first.has(id) && first.get(id) !== sha256)
          .map(([ordinal]) => ordinal);
        const found = await findPreceded(
          idsOf(own, encoding),
          earlier.map((events) => idsOf(events, encoding)),
          encoding,
        );
        expect(found).toEqual(expected);
      },
    );
    await fc.assert(law, { numRuns: 300 });
  });

  test('are none where nothing is under way before them', async () => {
    const unread = {
      read() {
        throw new Error('read for nothing');
      },
    };
    expect(await findPreceded(unread, [], jsonRowEncoding)).toEqual([]);
  });
});
