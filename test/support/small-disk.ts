import { once } from 'node:events';
import { expect } from 'vitest';
import { spawnCli, startInstance } from './instance.ts';
import { mountSmallDisk } from './mount-disk.ts';
import { until } from './until.ts';

const config = `
destinations: { warehouse: { type: postgres } }
sources: { files: { type: file, path: 'data/*.ndjson', settleSeconds: 0 } }
pipelines: { files: { source: files, destinations: [warehouse] } }
`;

const orders = (count: number) =>
  Array.from({ length: count }, (_, id) => `{"id":${id},"note":"${'x'.repeat(200)}"}\n`).join('');

/** Fills the disk of a home in mid-life: sync names it, and all loads once there is room again. */
export async function fillDuringLoad(options: {
  /** `MILLRACE_MIN_FREE_BYTES` */
  readonly reserve: number;
  readonly leftBytes: number;
}): Promise<void> {
  await using disk = await mountSmallDisk('200m');
  await using instance = await startInstance({
    config,
    environment: { MILLRACE_HOME: disk.home, MILLRACE_MIN_FREE_BYTES: String(options.reserve) },
  });
  await disk.fill(options.leftBytes);
  await instance.write('data/orders.ndjson', orders(20_000));
  const sync = spawnCli(['sync'], instance.directory, instance.environment);
  const ended = once(sync, 'exit');
  let said = '';
  sync.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
  await until('the obstacle', async () => /still trying: the disk .* is full/.test(said)).catch(
    (cause: unknown) => {
      throw new Error(`sync said: ${said}`, { cause });
    },
  );
  expect(said).not.toMatch(/^\s+at /m);

  await disk.free();
  expect(await ended).toEqual([0, null]);
  expect(
    await instance.warehouse(
      'SELECT count(*)::int, count(DISTINCT id)::int AS ids FROM files.orders',
    ),
  ).toEqual([{ count: 20_000, ids: 20_000 }]);
}
