import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ChildName, TestInstance } from '../../support/instance.ts';
import { killTree } from '../../support/kill-tree.ts';
import { startSecondWorker } from '../../support/second-worker.ts';
import type { Fault } from './fault.ts';

/** Processes that die, stand still or are there twice. */
export const processFaults: readonly Fault[] = [
  signalled('worker', 'SIGKILL'),
  signalled('server', 'SIGKILL'),
  signalled('Temporal', 'SIGKILL'),
  signalled('Postgres', 'SIGKILL'),
  { ...signalled('Postgres', 'SIGQUIT'), name: 'Postgres shut down immediately' },
  { ...signalled('worker', 'SIGTERM'), name: 'worker restarted' },
  standsStill('worker'),
  standsStill('server'),
  standsStill('Temporal'),
  {
    name: 'Temporal killed 3 times',
    strike: ({ instance }) => strikeAgain(instance, 'Temporal', 3),
  },
  {
    name: 'Postgres killed 3 times',
    strike: ({ instance }) => strikeAgain(instance, 'Postgres', 3),
  },
  {
    name: 'everything killed at once',
    async strike({ instance }) {
      killTree(instance.urls.pid);
      await instance.up();
      return 1;
    },
  },
  {
    name: 'supervisor killed',
    async strike({ instance }) {
      process.kill(instance.urls.pid, 'SIGKILL');
      await instance.up();
      return 1;
    },
  },
  {
    name: "all of Temporal's state lost",
    async strike({ instance }) {
      await instance.cli('down');
      await rm(join(instance.urls.home, 'temporal'), { recursive: true });
      await instance.up();
      return 1;
    },
  },
  {
    name: 'zombie worker beside another one',
    async strike({ instance }) {
      const zombie = await instance.pidOf('worker');
      await using _other = await startSecondWorker(zombie);
      process.kill(zombie, 'SIGSTOP');
      await sleep(pastHeartbeatMs);
      process.kill(zombie, 'SIGCONT');
      return 1;
    },
  },
  {
    name: 'second worker',
    async strike({ instance }) {
      await using _other = await startSecondWorker(await instance.pidOf('worker'));
      await sleep(pastHeartbeatMs);
      return 1;
    },
  },
];

/** With the patience of the proof, activities that do not beat for 3 s are given to somebody else. */
const pastHeartbeatMs = 7_000;

function signalled(child: ChildName, signal: NodeJS.Signals): Fault {
  return {
    name: `${child} killed`,
    async strike({ instance }) {
      process.kill(await instance.pidOf(child), signal);
      return 1;
    },
  };
}

function standsStill(child: ChildName): Fault {
  return {
    name: `${child} stands still`,
    async strike({ instance, random }) {
      const pid = await instance.pidOf(child);
      process.kill(pid, 'SIGSTOP');
      await sleep(pastHeartbeatMs + random.below(5_000));
      process.kill(pid, 'SIGCONT');
      return 1;
    },
  };
}

async function strikeAgain(instance: TestInstance, child: ChildName, times: number) {
  for (let time = 0; time < times; time += 1) {
    if (time > 0) await sleep(2_000);
    process.kill(await instance.pidOf(child), 'SIGKILL');
  }
  return times;
}
