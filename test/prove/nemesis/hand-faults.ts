import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { startAttempts } from '../../support/attempts.ts';
import { holdLedger } from '../../support/held-ledger.ts';
import type { TestInstance } from '../../support/instance.ts';
import { connectTemporal, type TemporalHand } from '../../support/temporal-hand.ts';
import { armFailpoint } from '../../support/failpoints.ts';
import { until } from '../../support/until.ts';
import { createOperator, pausedSources } from '../operator.ts';
import type { Fault } from './fault.ts';

const attemptProgram = fileURLToPath(new URL('../parts/attempt.ts', import.meta.url));

const backfilled = [
  ['shop', 'clicks'],
  ['shop', 'orders'],
  ['app', 'app'],
  ['store', 'visits'],
  ['store', 'items'],
  ['depot', 'parts'],
] as const;

/** What people do by hand, on purpose or not. */
export const handFaults: readonly Fault[] = [
  terminated('syncSource'),
  terminated('processBatch'),
  terminated('maintain'),
  reset('syncSource'),
  reset('processBatch'),
  {
    name: 'the same batch worked on twice',
    async strike({ instance }) {
      await using attempts = await startAttempts(instance, { program: attemptProgram });
      // So long that both are at it, also when it takes a while until all lanes have a batch.
      const point = await armFailpoint(instance.urls.home, 'before-commit=delay:5s*100');
      try {
        const isMuch = async () => (await openBatches(instance)).length >= 5;
        await until('batches of several lanes', isMuch, 60_000).catch(() => undefined);
        const batches = await openBatches(instance);
        const results = await Promise.all(
          batches.map((batchId) => attempts.run(`batch ${batchId}`)),
        );
        return results.some(({ result }) => [result].flat().length > 0) ? 1 : 0;
      } finally {
        await point.disarm();
      }
    },
  },
  {
    name: 'staged files damaged',
    strike: ({ instance, random }) =>
      meddle(instance, async (file) => {
        const bytes = await readFile(file);
        const at = random.below(bytes.length);
        bytes[at] = (bytes[at] ?? 0) ^ 0x10;
        await writeFile(file, bytes);
      }),
  },
  {
    name: 'staged files truncated',
    strike: ({ instance, random }) =>
      meddle(instance, async (file) => {
        const bytes = await readFile(file);
        await writeFile(file, bytes.subarray(0, random.below(bytes.length)));
      }),
  },
  { name: 'staged files gone', strike: ({ instance }) => meddle(instance, (file) => rm(file)) },
  {
    name: 'backfill meanwhile',
    async strike({ instance, random }) {
      const [pipeline, stream] = random.pick(backfilled);
      await instance.json(['backfill', pipeline, '--stream', stream, '--no-wait']);
      return 1;
    },
  },
  {
    name: 'backfill and retry of the same events at once',
    needs: 'refused',
    async strike({ instance, network }) {
      // So long that the one begins before the other has ended; loads of other events come by too.
      const point = await armFailpoint(instance.urls.home, 'before-commit=delay:8s*200');
      const backfill = (stream: string) =>
        instance.json(['backfill', 'shop', '--stream', stream, '--no-wait']);
      try {
        await Promise.all(['clicks', 'orders'].map(backfill));
        await createOperator(instance, network).retryRefused();
        await sleep(12_000);
        return 1;
      } finally {
        await point.disarm();
      }
    },
  },
  {
    name: 'nothing but poison, until a lane pauses',
    needs: 'poison',
    async strike({ instance }) {
      const isPaused = async () => (await pausedSources(instance)).length > 0;
      await until('a lane to pause', isPaused, 60_000);
      return 1;
    },
  },
  {
    name: 'position damaged',
    async strike({ instance, random }) {
      const { source, lane, head } = random.pick(await lanes(instance));
      const damage = `UPDATE millrace.lanes SET head = 'damaged ' || head
        WHERE source = $1 AND lane = $2 RETURNING replace(head, 'damaged ', '') AS head`;
      const [row] = await instance.catalog<{ head: string }>(damage, [source, lane]);
      try {
        await until('the lane to stop', () => isCorrupt(instance, lane), 60_000);
        return 1;
      } finally {
        const set = ['state', 'set', source, lane, row?.head ?? head];
        await until('it to be set right', async () => (await instance.cli(...set)).code === 0);
      }
    },
  },
  {
    name: 'position removed',
    async strike({ instance, random }) {
      const { source, lane } = random.pick(await lanes(instance));
      const sql = 'DELETE FROM millrace.lanes WHERE source = $1 AND lane = $2';
      await instance.catalog(sql, [source, lane]);
      await until('the lane to stop', () => isCorrupt(instance, lane), 60_000);
      await instance.json(['sync', '--no-wait']); // only a person lets it go on
      return 1;
    },
  },
  {
    name: 'pause and resume',
    async strike({ instance, random }) {
      const pipeline = random.pick(['app', 'shop', 'store', 'depot']);
      await instance.json(['pause', pipeline]);
      await instance.json(['resume', pipeline]);
      return 1;
    },
  },
];

async function isCorrupt(instance: TestInstance, lane: string): Promise<boolean> {
  return (await lanes(instance)).some(
    (one) => one.lane === lane && one.stop === 'position-corrupt',
  );
}

function lanes(instance: TestInstance) {
  return instance.catalog<{ source: string; lane: string; head: string; stop: string | null }>(
    'SELECT source, lane, head, stop_kind AS stop FROM millrace.lanes ORDER BY source, lane',
  );
}

function terminated(type: string): Fault {
  const terminate: HandMove = async ({ client }, { workflowId }) =>
    void (await client.workflow.getHandle(workflowId).terminate('by hand'));
  return handled(`${type} terminated by hand`, type, terminate);
}

function reset(type: string): Fault {
  return handled(`${type} reset by hand`, type, (hand, workflow) => hand.reset(workflow));
}

type HandMove = (
  hand: TemporalHand,
  workflow: Awaited<ReturnType<TemporalHand['running']>>[number],
) => Promise<void>;

/** Does something to all workflows of a type that run. */
function handled(name: string, type: string, move: HandMove): Fault {
  return {
    name,
    async strike({ instance }) {
      await using hand = await connectTemporal(instance);
      const find = async () => {
        const found = await hand.running(type);
        return found.length > 0 && found;
      };
      let times = 0;
      for (const workflow of await until(`a ${type}`, find).catch(() => [])) {
        await move(hand, workflow).then(
          () => (times += 1),
          () => undefined, // it ended by itself
        );
      }
      return Math.min(times, 1);
    },
  };
}

/** The first one of each lane. */
async function openBatches(instance: TestInstance): Promise<readonly string[]> {
  const rows = await instance.catalog<{ batch_id: string }>(
    `SELECT DISTINCT ON (source, lane) batch_id FROM millrace.batches
      WHERE state <> 'settled' AND run = 'live' ORDER BY source, lane, plan_order`,
  );
  return rows.map(({ batch_id }) => batch_id);
}

/** Of batches of `shop` that are on their way; false: there is none. */
async function stagedKeys(instance: TestInstance): Promise<readonly string[] | false> {
  const rows = await instance.catalog<{ key: string }>(
    `SELECT DISTINCT staging_key AS key FROM millrace.extracts JOIN millrace.batches USING (batch_id)
      WHERE state <> 'settled' AND source = 'shop'`,
  );
  return rows.length > 0 && rows.map(({ key }) => key);
}

/** Changes what is staged of a few batches that wait with their loads. */
async function meddle(
  instance: TestInstance,
  damage: (file: string) => Promise<void>,
): Promise<number> {
  const held = await holdLedger(instance.urls.destinations['warehouse'] ?? '');
  try {
    const waiting = async () => (await held.waiting()) > 0 && stagedKeys(instance);
    const keys = await until('a load of staged files to wait', waiting, 30_000).catch(() => []);
    let times = 0;
    for (const key of keys) {
      for (const file of await filesUnder(join(instance.urls.home, 'staging', key))) {
        await damage(file).then(
          () => (times += 1),
          () => undefined, // it went meanwhile, with its attempt
        );
      }
    }
    return Math.min(times, 1);
  } finally {
    await held.letGo();
  }
}

async function filesUnder(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true }).catch(() => []);
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}
