import { afterAll, beforeAll, expect, test } from 'vitest';
import { IntakeSource } from '../../connectors/kit/intake-source.ts';
import type { PositionRange } from '../../core/positions.ts';
import {
  defaultRecordLimits,
  eventIdOf,
  recordBytes,
  recordCount,
  versionOf,
} from '../../core/records.ts';
import { encodeChunk } from '../../intake/encode-chunk.ts';
import { openCatalog, type Catalog } from '../../store/catalog/catalog.ts';
import { appendChunk, createIntakeReader } from '../../store/catalog/intake-chunks.ts';
import { migrate } from '../../store/catalog/migrate.ts';
import { startProxyFor } from '../support/fault-proxy/fault-proxy.ts';
import { startPostgres, type PostgresServer } from '../support/postgres-server.ts';
import { testSource } from './source-suite.ts';

let server: PostgresServer;
let url: URL;
let catalog: Catalog;
let tests = 0;

beforeAll(async () => {
  server = await startPostgres();
  url = new URL(await server.createDatabase('catalog'));
  catalog = openCatalog({ url: url.href });
  await migrate(catalog);
});
afterAll(async () => {
  await catalog[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

async function addRecord(source: string, n: number, stream = 'app'): Promise<void> {
  const bytes = Buffer.from(JSON.stringify({ n }));
  const content = encodeChunk([{ stream, id: `event-${n}`, bytes }]);
  await appendChunk(catalog, { source, events: 1, content });
}

testSource(
  'the intake',
  async () => {
    const source = `source-${(tests += 1)}`;
    const gate = await startProxyFor(url.href);
    const reading = openCatalog({ url: gate.urlOf(url.href) });
    return {
      open: () => new IntakeSource(source, createIntakeReader(reading)),
      async add(_lane, from, to) {
        for (let n = from; n < to; n += 1) await addRecord(source, n);
      },
      numberOf: (record) => (JSON.parse(Buffer.from(record).toString()) as { n: number }).n,
      async drop() {
        await catalog.query('DELETE FROM millrace.intake_chunks WHERE source = $1', [source]);
      },
      async goAway() {
        gate.shut();
      },
      async [Symbol.asyncDispose]() {
        await reading[Symbol.asyncDispose]();
        await gate[Symbol.asyncDispose]();
      },
    };
  },
  { grows: true, oneLane: true, maxBytes: 1_000, awayKind: 'catalog-unavailable' },
);

async function readRange(source: IntakeSource, range: PositionRange) {
  const events = [];
  const context = {
    signal: new AbortController().signal,
    limits: defaultRecordLimits,
    lane: { name: 'intake', memo: '' },
  };
  for await (const block of source.read(range, context)) {
    for (let at = 0; at < recordCount(block); at += 1) {
      const raw = Buffer.from(recordBytes(block, at)).toString();
      const fault = block.faults?.find(({ index }) => index === at)?.kind;
      const [id, version] = [eventIdOf(block, at), versionOf(block, at)];
      events.push({ stream: block.stream, raw, id, version, ...(fault && { fault }) });
    }
  }
  return events;
}

const position = (chunk: number) => String(chunk).padStart(15, '0');
const rangeOf = (from: number, to: number) => ({
  from: position(from),
  to: position(to),
  bytes: 0,
});

test('events keep their bytes, ids, streams and faults, each stream in order, versions rising', async () => {
  const source = 'streams';
  const write = (n: number, stream: string, fault?: 'unmapped-stream') => ({
    stream,
    id: `event-${n}`,
    bytes: Buffer.from(`{"n":  ${n}}`),
    ...(fault && { fault: { kind: fault, message: 'no type' } }),
  });
  const chunks = [
    [write(1, 'a'), write(2, 'b'), write(3, 'a')],
    [write(4, 'b', 'unmapped-stream')],
    [write(5, 'a'), write(6, 'c')],
  ];
  for (const events of chunks) {
    const content = encodeChunk(events);
    await appendChunk(catalog, { source, events: events.length, content });
  }
  const intake = new IntakeSource(source, createIntakeReader(catalog));
  const read = await readRange(intake, rangeOf(1, 4));
  expect(read.map(({ stream, id, raw, fault }) => [stream, id, raw, fault])).toEqual([
    ['a', 'event-1', '{"n":  1}', undefined],
    ['a', 'event-3', '{"n":  3}', undefined],
    ['a', 'event-5', '{"n":  5}', undefined],
    ['b', 'event-2', '{"n":  2}', undefined],
    ['b', 'event-4', '{"n":  4}', 'unmapped-stream'],
    ['c', 'event-6', '{"n":  6}', undefined],
  ]);
  const versions = read.toSorted((one, other) => (one.id < other.id ? -1 : 1));
  expect(versions.map(({ version }) => version).toSorted()).toEqual(
    versions.map(({ version }) => version),
  );
  // However the lane was cut, an event has the same version.
  const pieces = [
    ...(await readRange(intake, rangeOf(1, 2))),
    ...(await readRange(intake, rangeOf(2, 4))),
  ];
  const byId = (events: typeof read) => new Map(events.map(({ id, version }) => [id, version]));
  expect(byId(pieces)).toEqual(byId(read));
});

test('a hole among the chunks stops the lane; it is never stepped over', async () => {
  const source = 'hole';
  for (let n = 1; n <= 5; n += 1) await addRecord(source, n);
  await catalog.query('DELETE FROM millrace.intake_chunks WHERE source = $1 AND chunk = 3', [
    source,
  ]);
  const intake = new IntakeSource(source, createIntakeReader(catalog));
  const lane = { name: 'intake', start: position(1), memo: '' };
  const limits = { maxBytes: 10_000, maxRecords: 100, maxRanges: 4 };
  const { signal } = new AbortController();
  const lost = { kind: 'extract-lost', message: expect.stringMatching('chunk 3 ') };
  await expect(intake.plan(lane, position(1), limits, signal)).rejects.toMatchObject(lost);
  await expect(readRange(intake, rangeOf(1, 6))).rejects.toMatchObject(lost);
  await expect(readRange(intake, rangeOf(4, 7))).rejects.toMatchObject({ kind: 'extract-lost' });
});
