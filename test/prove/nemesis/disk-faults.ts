import { setTimeout as sleep } from 'node:timers/promises';
import type { SmallDisk } from '../../support/mount-disk.ts';
import type { Fault, Stage } from './fault.ts';

/** The disk that holds home, staged files and all of Temporal's state, or that of a database. */
export const diskFaults: readonly Fault[] = [
  full('disk full to its last byte', ({ disk }) => disk, 0),
  full('disk full below the reserve of staging', ({ disk }) => disk, 20 * 1024 ** 2),
  full('disk of the archive full', ({ network }) => network.archiveDisk, 0),
];

function full(name: string, of: (stage: Stage) => SmallDisk | null, leftBytes: number): Fault {
  return {
    name,
    needsDisk: true,
    async strike(stage) {
      const [disk, random] = [of(stage), stage.random];
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
