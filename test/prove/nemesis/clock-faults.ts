import { setTimeout as sleep } from 'node:timers/promises';
import type { Fault } from './fault.ts';

const hourMs = 3_600_000;

/** Clocks of the product's own processes that jump. */
export const clockFaults: readonly Fault[] = [
  clockSteps('worker', hourMs),
  clockSteps('worker', -hourMs),
  clockSteps('server', hourMs),
  clockSteps('server', -hourMs),
];

function clockSteps(part: 'worker' | 'server', byMs: number): Fault {
  return {
    name: `clock of the ${part} ${byMs < 0 ? 'back' : 'on'} by an hour`,
    async strike({ network, random }) {
      await network.setClock(part, byMs);
      try {
        await sleep(4_000 + random.below(4_000));
      } finally {
        await network.setClock(part, 0);
      }
      return 1;
    },
  };
}
