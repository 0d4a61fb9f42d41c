export interface RestreamCut {
  readonly n: number;
  /** Positions in the restream: 12 digits, so that they sort as text. */
  readonly from: string;
  readonly to: string;
}

const digits = 12;

/** Cuts the frozen events of a restream into batches; the same count is always cut the same way. */
export function cutRestream(count: number, batchSize: number): readonly RestreamCut[] {
  const cuts: RestreamCut[] = [];
  for (let from = 0; from < count; from += batchSize) {
    const to = Math.min(count, from + batchSize);
    cuts.push({ n: cuts.length, from: toPosition(from), to: toPosition(to) });
  }
  return cuts;
}

function toPosition(place: number): string {
  return String(place).padStart(digits, '0');
}
