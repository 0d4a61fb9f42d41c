import { setTimeout as sleep } from 'node:timers/promises';
import type { Fault } from './fault.ts';

/** The disk that holds home, staged files and all of Temporal's state. */
export const diskFaults: readonly Fault[] = [
  full('to its last byte', 0),
  full('below the reserve of staging', 20 * 1024 ** 2),
];

function full(what: string, leftBytes: number): Fault {
  return {
    name: `disk full ${what}`,
    needsDisk: true,
    async strike({ disk, random }) {
      if (!disk) return 0;
      try {
        // What writes beside it may take the last bytes first: full is full.
        await disk.fill(leftBytes).catch(() => undefined);
        await sleep(4_000 + random.below(4_000));
      } finally {
        await disk.free();
      }
      return 1;
    },
  };
}
