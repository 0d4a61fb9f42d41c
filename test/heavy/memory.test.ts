import { appendFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { writeEvents } from '../../bench/events.ts';
import { checksumOfFile, checksumOfTable } from '../support/events-checksum.ts';
import { startInstance, type TestInstance } from '../support/instance.ts';
import { writeLargeText } from '../support/large-files.ts';
import { forgetPeakRss, peakRssMiB } from '../support/peak-memory.ts';

/** 7.7 million events of 278 bytes: 2 GiB. */
const eventCount = 7_730_000;

const sources = ['large', 'documents', 'lines', 'failing', 'many', 'streams'];

const config = `
destinations: { warehouse: { type: postgres } }
sources:
${sources.map((name) => `  ${name}: { type: file, ${name === 'many' ? 'streams: { many: { path: many/* } }' : `path: ${name}/*`} }`).join('\n')}
pipelines:
${sources.map((name) => `  ${name}: { source: ${name}, destinations: [warehouse] }`).join('\n')}
`;

interface SyncOutput {
  readonly stoppedLanes: readonly { lane: string; kind: string; message: string }[];
  readonly tables: readonly { table: string; rowsLoaded: number; openFailures: number }[];
}

describe('the memory of the worker', () => {
  let instance: TestInstance;
  let worker: number;

  beforeAll(async () => {
    const environment = { MILLRACE_PATIENCE: '1', MILLRACE_MAINTAIN_EVERY_MS: '60000' };
    instance = await startInstance({ config, environment });
    for (const name of sources) await mkdir(join(instance.directory, name));
    worker = await instance.pidOf('worker');
  });

  afterAll(() => instance[Symbol.asyncDispose]());

  const path = (name: string) => join(instance.directory, name);

  /** Syncs, and returns what it said and the peak of the worker, which is still the same process. */
  async function sync(source: string, exitCode: number) {
    await forgetPeakRss(worker);
    const output = await instance.json<SyncOutput>(['sync', source], [exitCode]);
    expect(await instance.pidOf('worker')).toBe(worker);
    return { ...output, peak: await peakRssMiB(worker) };
  }

  test('a file of 2 GiB loads exactly, in at most 700 MB', async () => {
    await writeEvents(path('large/events.ndjson'), eventCount, 1);
    const { peak } = await sync('large', 0);
    const [loaded] = await instance.warehouse(checksumOfTable('large.events'));
    expect(loaded).toEqual(await checksumOfFile(path('large/events.ndjson')));
    expect(peak).toBeLessThanOrEqual(700);
  });

  test('a document of 200 MB is refused with a clear failure; the other files load', async () => {
    await writeLargeText(path('documents/huge.json'), ['[{"a":"', 200, '"}]']);
    await instance.write('documents/small.json', '[{"a":1},{"a":2}]');
    const { stoppedLanes, tables, peak } = await sync('documents', 1);
    expect(stoppedLanes).toMatchObject([{ lane: 'documents/huge.json', kind: 'file-too-large' }]);
    expect(stoppedLanes[0]?.message).toContain('write it as NDJSON');
    expect(tables).toMatchObject([{ table: 'small', rowsLoaded: 2 }]);
    expect((await instance.cli('status')).stdout).toContain('documents/huge.json stands still');
    expect(peak).toBeLessThanOrEqual(700);
  });

  test('a line without end stops its lane behind what was before it, compressed or not', async () => {
    await writeLargeText(path('lines/line.ndjson'), ['{"a":1}\n{"a":"', 200, '"}\n']);
    await writeLargeText(path('lines/tail.ndjson'), ['{"a":1}\n{"a":"', 200, '"}']);
    await writeLargeText(path('lines/bomb.ndjson.gz'), ['{"a":1}\n{"a":"', 2_000, '"}\n']);
    await writeLargeText(path('lines/bomb.json.gz'), ['{"a":"', 2_000, '"}']);
    const { stoppedLanes, tables, peak } = await sync('lines', 1);
    expect(stoppedLanes.map(({ lane, kind }) => `${lane}: ${kind}`).sort()).toEqual([
      'lines/bomb.json.gz: file-too-large',
      'lines/bomb.ndjson.gz: file-too-large',
      'lines/line.ndjson: file-too-large',
      'lines/tail.ndjson: file-too-large',
    ]);
    expect(tables.map(({ rowsLoaded }) => rowsLoaded)).toEqual([1, 1, 1]);
    expect(peak).toBeLessThanOrEqual(700);
  });

  test('200,000 events that fail are parked, and what is good among them loads', async () => {
    await instance.write('failing/events.ndjson', '{"a":1}\n');
    await sync('failing', 0);
    const bad = `${JSON.stringify({ a: 'text', b: 'of about a hundred bytes '.repeat(3) })}\n`;
    await appendFile(path('failing/events.ndjson'), `${bad.repeat(200_000)}{"a":2}\n`);
    const { tables, peak } = await sync('failing', 5);
    expect(tables).toMatchObject([{ rowsLoaded: 2, openFailures: 200_000 }]);
    expect(peak).toBeLessThanOrEqual(700);
  });

  test('1,000 small files of one stream load', async () => {
    for (let n = 0; n < 1_000; n += 1) await instance.write(`many/${n}.ndjson`, `{"id":${n}}\n`);
    const { peak } = await sync('many', 0);
    const found = await instance.warehouse(`SELECT count(DISTINCT id)::int AS ids FROM many.many`);
    expect(found).toEqual([{ ids: 1_000 }]);
    expect(peak).toBeLessThanOrEqual(700);
  });

  test('300 streams of one source load', async () => {
    for (let n = 0; n < 300; n += 1) await instance.write(`streams/s${n}.ndjson`, `{"id":${n}}\n`);
    const { tables, peak } = await sync('streams', 0);
    expect(tables.filter(({ rowsLoaded }) => rowsLoaded === 1)).toHaveLength(300);
    expect(peak).toBeLessThanOrEqual(700);
  });
});
