import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { armFailpoint } from '../../support/failpoints.ts';
import type { ChildName, TestInstance } from '../../support/instance.ts';
import { killTree } from '../../support/kill-tree.ts';
import { startSecondWorker } from '../../support/second-worker.ts';
import { createOperator } from '../operator.ts';
import { until } from '../../support/until.ts';
import type { Fault, Stage } from './fault.ts';

/** Processes that die, stand still or are there twice. */
export const processFaults: readonly Fault[] = [
  signalled('worker', 'SIGKILL'),
  signalled('server', 'SIGKILL'),
  signalled('Temporal', 'SIGKILL'),
  signalled('Postgres', 'SIGKILL'),
  { ...signalled('Postgres', 'SIGQUIT'), name: 'Postgres shut down immediately' },
  { ...signalled('worker', 'SIGTERM'), name: 'worker restarted' },
  farServer('killed', 'SIGKILL', 1),
  farServer('shut down immediately', 'SIGQUIT', 1),
  farServer('bounced 3 times', 'SIGINT', 3),
  {
    name: 'no worker for a minute',
    async strike({ instance }) {
      const end = Date.now() + 60_000;
      let times = 0;
      for (; Date.now() < end; times += 1) {
        process.kill(await instance.pidOf('worker'), 'SIGKILL');
        await sleep(200);
      }
      return Math.min(times, 1);
    },
  },
  {
    name: 'rolling restarts of the workers',
    async strike({ instance }) {
      for (let time = 0; time < 3; time += 1) {
        await using _next = await startSecondWorker(await instance.pidOf('worker'));
        process.kill(await instance.pidOf('worker'), 'SIGTERM');
        await sleep(2_500);
      }
      return 3;
    },
  },
  standsStill('worker'),
  standsStill('server'),
  standsStill('Temporal'),
  {
    name: 'Temporal killed 5 times',
    strike: ({ instance }) => strikeAgain(instance, 'Temporal', 5),
  },
  {
    name: 'Postgres killed 3 times',
    strike: ({ instance }) => strikeAgain(instance, 'Postgres', 3),
  },
  {
    name: 'everything killed at once',
    async strike({ instance }) {
      killTree(instance.urls.pid);
      await startAgain(instance);
      return 1;
    },
  },
  {
    name: 'supervisor killed',
    async strike({ instance }) {
      process.kill(instance.urls.pid, 'SIGKILL');
      await startAgain(instance);
      return 1;
    },
  },
  { name: "all of Temporal's state lost", strike: loseTemporal },
  {
    name: "all of Temporal's state lost under a retry",
    needs: 'retry',
    async strike(stage) {
      const { instance, network } = stage;
      const point = await armFailpoint(instance.urls.home, 'restream-claimed=delay:5s*9');
      try {
        await createOperator(instance, network).retryRefused();
        // Its events are claimed, and nobody else will ask for them.
        const claimed = `SELECT FROM millrace.restreams WHERE state <> 'settled'`;
        const isClaimed = async () => (await instance.catalog(claimed)).length > 0;
        if (!(await until('a claim', isClaimed, 20_000).catch(() => false))) return 0;
        return await loseTemporal(stage);
      } finally {
        await point.disarm();
      }
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

async function loseTemporal({ instance }: Stage): Promise<number> {
  await instance.cli('down');
  await rm(join(instance.urls.home, 'temporal'), { recursive: true });
  await startAgain(instance);
  return 1;
}

/** While another fault fills the disk, or has a database away, it does not start. */
async function startAgain(instance: TestInstance): Promise<void> {
  const start = async () => {
    await instance.up();
    return true;
  };
  await until('it to start again', start, 180_000);
}

/** The server that holds a destination and the database that is a source. */
function farServer(what: string, signal: NodeJS.Signals, times: number): Fault {
  return {
    name: `Postgres of source and archive ${what}`,
    async strike({ network, random }) {
      for (let time = 0; time < times; time += 1) {
        if (time > 0) await sleep(3_000 + random.below(3_000));
        process.kill(await network.farServer.pid(), signal);
      }
      return times;
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
