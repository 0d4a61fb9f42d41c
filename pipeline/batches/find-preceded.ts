import type { EncodedIds } from '../../core/destination.ts';
import type { RowEncoding } from '../../core/mapping.ts';

/**
 * Which events of a batch stand behind others that were received before them, with the same id and
 * other bytes, and whose batches are not loaded yet: they must not take the id from those. Only the
 * first event of an id counts. Ordinals, ascending.
 * @param earlier batches in the order in which they were received
 */
export async function findPreceded(
  own: EncodedIds,
  earlier: readonly EncodedIds[],
  encoding: RowEncoding,
): Promise<readonly number[]> {
  if (earlier.length === 0) return [];
  const ids = new Set<string>();
  await eachId(own, encoding, ({ id }) => void ids.add(id));
  const first = new Map<string, string>();
  for (const batch of earlier) {
    await eachId(batch, encoding, ({ id, sha256 }) => {
      if (ids.has(id) && !first.has(id)) first.set(id, sha256);
    });
  }
  const preceded: number[] = [];
  if (first.size === 0) return preceded;
  await eachId(own, encoding, ({ id, sha256, ordinal }) => {
    const hash = first.get(id);
    if (hash !== undefined && hash !== sha256) preceded.push(Number(ordinal));
  });
  return preceded;
}

interface IdRow {
  /** As encoded: equal for equal ids. */
  readonly id: string;
  readonly sha256: string;
  readonly ordinal: string;
}

/** Hash and ordinal hold no separators: a row is read from its end. */
async function eachId(
  ids: EncodedIds,
  { separator, terminator }: RowEncoding,
  visit: (row: IdRow) => void,
): Promise<void> {
  // One character a byte: a character may be cut between chunks.
  const bytes = new TextDecoder('latin1');
  let rest = '';
  for await (const chunk of ids.read()) {
    const text = rest + bytes.decode(chunk);
    let start = 0;
    for (let end = text.indexOf(terminator); end >= 0; end = text.indexOf(terminator, start)) {
      const row = text.slice(start, end);
      const last = row.lastIndexOf(separator);
      const middle = row.lastIndexOf(separator, last - 1);
      visit({
        id: row.slice(0, middle),
        sha256: row.slice(middle + separator.length, last),
        ordinal: row.slice(last + separator.length),
      });
      start = end + terminator.length;
    }
    rest = text.slice(start);
  }
}
