import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { writeEvents } from '../../bench/events.ts';
import { checksumOfFile, checksumOfTable } from '../support/events-checksum.ts';
import { startInstance, type TestInstance } from '../support/instance.ts';
import { writeLargeText } from '../support/large-files.ts';
import { forgetPeakRss, peakRssMiB } from '../support/peak-memory.ts';

/** 28 MB; `test/heavy/memory.test.ts` loads 2 GiB. */
const eventCount = 100_000;

const config = `
destinations: { warehouse: { type: postgres } }
sources: { files: { type: file, path: data/* } }
pipelines: { files: { source: files, destinations: [warehouse] } }
`;

interface SyncOutput {
  readonly stoppedLanes: readonly { lane: string; kind: string; message: string }[];
  readonly tables: readonly { table: string; rowsLoaded: number }[];
}

describe('files that are too large to hold', () => {
  let instance: TestInstance;

  beforeAll(async () => {
    instance = await startInstance({ config });
    await mkdir(join(instance.directory, 'data'));
  });

  afterAll(() => instance[Symbol.asyncDispose]());

  test('stop their own lanes with a clear failure, while the others load exactly', async () => {
    const path = (name: string) => join(instance.directory, 'data', name);
    await writeLargeText(path('document.json'), ['[{"a":"', 70, '"}]']);
    await writeLargeText(path('line.ndjson'), ['{"a":1}\n{"a":"', 70, '"}\n']);
    await writeLargeText(path('bomb.ndjson.gz'), ['{"a":1}\n{"a":"', 300, '"}\n']);
    await writeEvents(path('events.ndjson'), eventCount, 1);
    const worker = await instance.pidOf('worker');
    await forgetPeakRss(worker);

    const { stoppedLanes, tables } = await instance.json<SyncOutput>(['sync'], [1]);

    expect(stoppedLanes.map(({ lane, kind }) => `${lane}: ${kind}`).sort()).toEqual([
      'data/bomb.ndjson.gz: file-too-large',
      'data/document.json: file-too-large',
      'data/line.ndjson: file-too-large',
    ]);
    expect(tables.map(({ table, rowsLoaded }) => `${table}: ${rowsLoaded}`).sort()).toEqual([
      'bomb: 1',
      `events: ${eventCount}`,
      'line: 1',
    ]);
    const [loaded] = await instance.warehouse(checksumOfTable('files.events'));
    expect(loaded).toEqual(await checksumOfFile(path('events.ndjson')));
    const { stdout } = await instance.cli('status');
    expect(stdout).toContain('data/document.json is a JSON document larger than 64 MiB');
    expect(await instance.pidOf('worker')).toBe(worker);
    expect(await peakRssMiB(worker)).toBeLessThanOrEqual(700);
  });
});
