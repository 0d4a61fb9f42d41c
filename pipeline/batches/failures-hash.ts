import { createHash } from 'node:crypto';

interface FailedPlace {
  readonly ordinal: number;
  readonly child: number;
}

/** Hash of the failed events of a batch, added in the order of (ordinal, child). */
export function createFailuresHash(): { add(place: FailedPlace): void; digest(): string } {
  const hash = createHash('sha256');
  return {
    add: ({ ordinal, child }) => void hash.update(`${ordinal}.${child}\n`),
    digest: () => hash.digest('hex'),
  };
}

/** Hash of the sorted (ordinal, child) list: the ledger's word on which events failed. */
export function hashFailures(places: readonly FailedPlace[]): string {
  const hash = createFailuresHash();
  for (const place of places.toSorted(byPlace)) hash.add(place);
  return hash.digest();
}

function byPlace(a: FailedPlace, b: FailedPlace): number {
  return a.ordinal - b.ordinal || a.child - b.child;
}
