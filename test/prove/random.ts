/** Numbers that depend on a seed only: the same seed gives the same run. */
export interface Random {
  /** From 0, below 1. */
  next(): number;
  /** A whole number, from 0, below `below`. */
  below(below: number): number;
  chance(probability: number): boolean;
  pick<T>(list: readonly T[]): T;
  /** Another order; no element moves further than within its `window`. */
  shuffle<T>(list: readonly T[], window?: number): T[];
  /** A stream of its own: what one part draws changes nothing for another. */
  fork(name: string): Random;
}

export function createRandom(seed: string): Random {
  let state = hash(seed);
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (end: number) => Math.floor(next() * end);
  return {
    next,
    below,
    chance: (probability) => next() < probability,
    pick: (list) => list[below(list.length)] as (typeof list)[number],
    shuffle(list, window = list.length) {
      const shuffled = [...list];
      for (let start = 0; start < shuffled.length; start += window) {
        const end = Math.min(start + window, shuffled.length);
        for (let at = end - 1; at > start; at -= 1)
          swap(shuffled, at, start + below(at - start + 1));
      }
      return shuffled;
    },
    fork: (name) => createRandom(`${seed}/${name}`),
  };
}

function swap<T>(list: T[], a: number, b: number): void {
  [list[a], list[b]] = [list[b] as T, list[a] as T];
}

/** FNV-1a. */
function hash(text: string): number {
  let sum = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) {
    sum = Math.imul(sum ^ text.charCodeAt(at), 0x01000193);
  }
  return sum;
}
