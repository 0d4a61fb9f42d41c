/** Something that is wrong with a document. */
export interface Problem {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

/** Says that a name stands for nothing, and which one was meant. */
export function missing(what: string, name: string, known: readonly string[]): string {
  const close = nearest(name, known);
  const list = known.length === 0 ? 'none is configured' : `there are ${known.join(', ')}`;
  return `there is no ${what} ${name}: ${close === undefined ? list : `did you mean ${close}?`}`;
}

/** The known word that a mistyped one is likely to be. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const ranked = known
    .map((candidate) => ({ candidate, distance: editDistance(word, candidate) }))
    .filter(({ candidate, distance }) => distance <= Math.max(1, candidate.length / 3))
    .sort((a, b) => a.distance - b.distance);
  return ranked[0]?.candidate;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const swap = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(swap, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return row[b.length] as number;
}
