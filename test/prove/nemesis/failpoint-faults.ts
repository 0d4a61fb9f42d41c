import { setTimeout as sleep } from 'node:timers/promises';
import { failpoints, type Failpoint } from '../../../core/failpoints.ts';
import { armFailpoint } from '../../support/failpoints.ts';
import { startSecondWorker } from '../../support/second-worker.ts';
import type { Fault, Need } from './fault.ts';

const names = Object.keys(failpoints) as Failpoint[];
/** How long somebody may take to come by. */
const patienceMs = 60_000;

const needs: Partial<Record<Failpoint, Need>> = {
  'mapping-planned': 'new-field',
  'table-changed': 'new-field',
  'ddl-committed': 'new-field',
  'restream-claimed': 'retry',
  'restream-loaded': 'retry',
};

/** Points of a load at which a process may fall asleep and wake after another one did its work. */
const sleepers: readonly Failpoint[] = [
  'extract-staged',
  'fence-taken',
  'copy-middle',
  'before-commit',
  'commit-sent',
  'commit-unread',
  'before-settle',
];
/** Heartbeats are given up after 3 s, an idle transaction too. */
const sleepMs = 9_000;

/** The process that comes by ends as by SIGKILL, stands still, or fails: at every point there is. */
export const failpointFaults: readonly Fault[] = [
  ...names.map((name): Fault => ({
    name: `kill at ${name}`,
    ...(needs[name] && { needs: needs[name] }),
    strike: ({ instance }) => struck(instance.urls.home, `${name}=exit`),
  })),
  ...names.map((name): Fault => ({
    name: `error at ${name}`,
    ...(needs[name] && { needs: needs[name] }),
    strike: ({ instance }) => struck(instance.urls.home, `${name}=throw`),
  })),
  {
    name: 'errors at commit-unread, one after another',
    strike: ({ instance }) => struck(instance.urls.home, 'commit-unread=throw*24'),
  },
  {
    name: 'kills at extract-staged, one after another',
    strike: ({ instance }) => struck(instance.urls.home, 'extract-staged=exit*4'),
  },
  ...sleepers.map((name): Fault => ({
    name: `zombie at ${name}`,
    async strike({ instance }) {
      await using _other = await startSecondWorker(await instance.pidOf('worker'));
      return struck(instance.urls.home, `${name}=stop:${sleepMs}ms`, sleepMs);
    },
  })),
];

async function struck(home: string, text: string, stillMs = 0): Promise<number> {
  const point = await armFailpoint(home, text);
  try {
    await point.untilFired(patienceMs);
    if (stillMs > 0) await sleep(stillMs + 1_000);
    return 1;
  } catch {
    return 0; // nobody came by
  } finally {
    await point.disarm();
  }
}
