import { readdir, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Failpoint } from '../../core/failpoints.ts';
import { isStopped } from '../support/attempts.ts';
import { startOrders, type OrdersInstance } from '../support/orders-instance.ts';
import { until } from '../support/until.ts';

let orders: OrdersInstance;

beforeAll(async () => {
  orders = await startOrders('stop');
}, 120_000);

afterAll(() => orders?.[Symbol.asyncDispose]());

describe('staged files that are damaged in the middle of a batch', () => {
  test('load files that are gone are made again', async () => {
    await meddle('map-computed', (files) => each(files, isLoadFile, (file) => rm(file)));
    await orders.sync();
    await orders.audit();
  });

  test('rows that end too early do not load as if they were all', async () => {
    await meddle('fence-taken', (files) => each(files, isRows, cutAtRow));
    await orders.sync();
    await orders.audit();
  });

  test('a changed digit does not load', async () => {
    await meddle('fence-taken', (files) => each(files, isRows, changeDigit));
    await orders.sync();
    await orders.audit();
  });

  test('records that are damaged too are read from their source again', async () => {
    await meddle('map-computed', async (files) => {
      await each(files, isLoadFile, (file) => rm(file));
      await each(files, isRecords, changeDigit);
    });
    await orders.sync();
    await orders.audit();
  });

  test('files that are gone after COMMIT are not missed', async () => {
    await meddle('commit-unread', (files) => each(files, () => true, rm));
    await orders.sync();
    await orders.audit();
  });

  test('records that their source has lost too wait until it has them again', async () => {
    let source = '';
    await meddle('map-computed', async (files) => {
      await each(files, () => true, rm);
      source = orders.newestFile();
      await rename(source, `${source}.away`);
    });
    const { open } = await orders.instance.json<{ open: { stopped: number } }>(['sync'], [1]);
    expect(open.stopped).toBe(2);
    await rename(`${source}.away`, source);
    await orders.sync();
    await orders.audit();
  });
});

/** Stops the worker at a point of the next batch, lets `damage` change its files, and wakes it. */
async function meddle(point: Failpoint, damage: (files: readonly string[]) => Promise<void>) {
  const { instance } = orders;
  const worker = await instance.pidOf('worker');
  await orders.arm(point);
  await orders.addOrders(1_000);
  await instance.json(['sync', '--no-wait']);
  await until(`a stop at ${point}`, async () => orders.hasFired(point) && isStopped(worker));
  await damage(await stagedFiles());
  process.kill(worker, 'SIGCONT');
}

async function stagedFiles(): Promise<readonly string[]> {
  const { instance } = orders;
  const [extract] = await instance.catalog<{ key: string }>(
    `SELECT staging_key AS key FROM millrace.extracts JOIN millrace.batches USING (batch_id)
      WHERE state <> 'settled'`,
  );
  const folder = join(instance.urls.home, 'staging', 'extracts', extract?.key ?? 'none');
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name));
}

const isRows = (file: string) => file.endsWith('.rows');
const isRecords = (file: string) => file.endsWith('/records');
const isLoadFile = (file: string) => !isRecords(file);

async function each(
  files: readonly string[],
  chosen: (file: string) => boolean,
  damage: (file: string) => Promise<void>,
): Promise<void> {
  const found = files.filter(chosen);
  expect(found.length).toBeGreaterThan(0);
  for (const file of found) await damage(file);
}

/** What is left are sound rows, only fewer. */
async function cutAtRow(file: string): Promise<void> {
  const bytes = await readFile(file);
  await truncate(file, bytes.lastIndexOf(0x0a, bytes.length >> 1) + 1);
}

async function changeDigit(file: string): Promise<void> {
  const bytes = await readFile(file);
  const at = bytes.findIndex((byte, n) => n > bytes.length >> 1 && byte > 0x30 && byte < 0x39);
  bytes[at] = (bytes[at] ?? 0) + 1;
  await writeFile(file, bytes);
}
