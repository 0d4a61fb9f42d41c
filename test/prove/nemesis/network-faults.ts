import { setTimeout as sleep } from 'node:timers/promises';
import type { FaultProxy } from '../../support/fault-proxy/fault-proxy.ts';
import { until } from '../../support/until.ts';
import type { Link } from '../network.ts';
import type { Fault } from './fault.ts';

const links: readonly Link[] = ['catalog', 'warehouse', 'Temporal', 'archive', 'store', 'intake'];
const databases: readonly Link[] = ['catalog', 'warehouse', 'archive'];

/** What happens on the way between the product and what it talks to; the seed says on which. */
export const networkFaults: readonly Fault[] = [
  shaped('latency and jitter', { latencyMs: 150, jitterMs: 200 }),
  shaped('little bandwidth', { bytesPerSecond: 40_000 }),
  shaped('bytes in slices, ends that come late', { sliceBytes: 97, slowCloseMs: 2_000 }),
  onLink('connections reset', async (proxy, draw) => {
    const times = 3 + draw(5);
    for (let time = 0; time < times; time += 1) {
      proxy.reset();
      await sleep(300 + draw(700));
    }
    return times;
  }),
  onLink('silence, connections stay', async (proxy, draw) => {
    proxy.mute();
    await sleep(4_000 + draw(8_000));
    return 1;
  }),
  onLink('unreachable', async (proxy, draw) => {
    proxy.shut();
    await sleep(4_000 + draw(8_000));
    return 1;
  }),
  ...databases.map((link) => commitUnheard(link)),
  {
    name: 'network: Temporal unreachable for two minutes',
    strike: ({ network }) => away(network.links.Temporal, 120_000),
  },
  {
    name: 'network: a database unreachable for two minutes',
    strike: ({ network, random }) => away(network.links[random.pick(databases)], 120_000),
  },
];

async function away(proxy: FaultProxy, ms: number): Promise<number> {
  const end = Date.now() + ms;
  try {
    // Another fault may heal the same way meanwhile.
    for (; Date.now() < end; await sleep(1_000)) proxy.shut();
    return 1;
  } finally {
    proxy.heal();
  }
}

type Harm = (proxy: FaultProxy, draw: (below: number) => number) => Promise<number>;

function onLink(name: string, harm: Harm): Fault {
  return {
    name: `network: ${name}`,
    async strike({ network, random }) {
      const proxy = network.links[random.pick(links)];
      try {
        return await harm(proxy, (below) => random.below(below));
      } finally {
        proxy.heal();
      }
    },
  };
}

function shaped(name: string, shape: Parameters<FaultProxy['shape']>[0]): Fault {
  return onLink(name, async (proxy, draw) => {
    proxy.shape(shape);
    await sleep(5_000 + draw(5_000));
    return 1;
  });
}

function commitUnheard(link: Link): Fault {
  return {
    name: `COMMIT done, its answer lost: ${link}`,
    async strike({ network, random }) {
      const proxy = network.links[link];
      const [before, wanted] = [proxy.cutCount(), 1 + random.below(4)];
      const cuts = () => proxy.cutCount() - before;
      proxy.cutAnswers('COMMIT', wanted);
      try {
        await until('answers to be cut', async () => cuts() >= wanted, 30_000).catch(() => false);
        return cuts();
      } finally {
        proxy.heal();
      }
    },
  };
}
