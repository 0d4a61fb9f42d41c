import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { intakeLane, intakePosition } from '../../../connectors/kit/intake-source.ts';
import { encodeChunk } from '../../../intake/encode-chunk.ts';
import { openCatalog, type Catalog } from '../../../store/catalog/catalog.ts';
import {
  appendChunk,
  appendUnparsedBody,
  createIntakeReader,
  removeSettledChunks,
  sourcesWithUnplannedChunks,
  storedBytes,
} from '../../../store/catalog/intake-chunks.ts';
import { insertLane } from '../../../store/catalog/lanes.ts';
import { migrate } from '../../../store/catalog/migrate.ts';
import { recordPlan } from '../../../store/catalog/plans.ts';
import {
  issueFirstTokens,
  listTokens,
  revokeTokens,
  rotateToken,
} from '../../../store/catalog/source-tokens.ts';
import { startPostgres, type PostgresServer } from '../../support/postgres-server.ts';

let server: PostgresServer;
let catalog: Catalog;
let source = '';
let tests = 0;

beforeAll(async () => {
  server = await startPostgres();
  const url = await server.createDatabase('catalog');
  catalog = openCatalog({ url, maxConnections: 12 });
  await migrate(catalog);
});
beforeEach(() => {
  source = `source-${(tests += 1)}`;
});
afterAll(async () => {
  await catalog[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

const content = (id: string) => encodeChunk([{ stream: 's', id, bytes: Buffer.from('{}') }]);
const append = (id = 'a') => appendChunk(catalog, { source, events: 1, content: content(id) });
const numbers = async (from = 1) =>
  (await createIntakeReader(catalog).sizes(source, from, 10_000)).map(({ chunk }) => chunk);

async function storedOf(): Promise<number | undefined> {
  return (await storedBytes(catalog)).find((one) => one.source === source)?.bytes;
}

test('numbers have no gaps and appear in order, whoever writes at the same time', async () => {
  const seen: number[] = [];
  let writing = true;
  const reading = (async () => {
    while (writing) {
      for (const chunk of await numbers((seen.at(-1) ?? 0) + 1)) seen.push(chunk);
    }
  })();
  const writers = Array.from({ length: 8 }, async () => {
    const own = [];
    for (let n = 0; n < 40; n += 1) own.push((await append()).chunk);
    return own;
  });
  const own = await Promise.all(writers);
  writing = false;
  await reading;
  seen.push(...(await numbers((seen.at(-1) ?? 0) + 1)));
  const all = Array.from({ length: 320 }, (_, at) => at + 1);
  expect(seen).toEqual(all); // the reader never stepped over a number that came later
  expect(own.flat().sort((a, b) => a - b)).toEqual(all);
  for (const each of own) expect(each.toSorted((a, b) => a - b)).toEqual(each);
});

test('a chunk that was not committed leaves no gap', async () => {
  await append();
  const failing = catalog.transaction(async (tx) => {
    await appendChunk(tx, { source, events: 1, content: content('lost') });
    throw new Error('broken off');
  });
  await expect(failing).rejects.toThrow('broken off');
  expect((await append()).chunk).toBe(2);
});

test('a chunk is durable although the role wants fast commits', async () => {
  const found = await catalog.transaction(async (tx) => {
    await tx.query(`SET LOCAL synchronous_commit = 'off'`);
    await appendChunk(tx, { source, events: 1, content: content('a') });
    return tx.query<{ synchronous_commit: string }>('SHOW synchronous_commit');
  });
  expect(found.rows).toEqual([{ synchronous_commit: 'on' }]);
});

test('the same unparsable body is kept once, also when it comes many times at once', async () => {
  const keep = (eventId: string) =>
    appendUnparsedBody(catalog, {
      source,
      sha256: 'hash',
      eventId,
      events: 1,
      content: content(eventId),
    });
  const kept = await Promise.all(['a', 'b', 'c', 'd', 'e'].map(keep));
  expect(kept.filter(({ appended }) => appended !== null)).toHaveLength(1);
  expect(new Set(kept.map(({ eventId }) => eventId)).size).toBe(1);
  expect(await numbers()).toEqual([1]);
});

/** Plans chunks up to a number as one batch, and settles it (or not). */
async function plan(from: number, to: number, settled: boolean): Promise<void> {
  const [first, end] = [intakePosition(from), intakePosition(to)];
  const batchId = `${source}/${first}`;
  await insertLane(catalog, { source, lane: intakeLane, start: first, memo: '' });
  await recordPlan(catalog, {
    source,
    lane: intakeLane,
    from: first,
    memo: '',
    ranges: [{ from: first, to: end, bytes: 1, batchId }],
    destinations: ['one', 'two'],
  });
  const states = settled ? ['settled', 'settled'] : ['settled', 'pending'];
  for (const [at, destination] of ['one', 'two'].entries()) {
    await catalog.query(
      'UPDATE millrace.deliveries SET state = $3 WHERE batch_id = $1 AND destination = $2',
      [batchId, destination, states[at]],
    );
  }
  if (!settled) return;
  await catalog.query(
    `UPDATE millrace.batches SET state = 'settled', settled_at = now() WHERE batch_id = $1`,
    [batchId],
  );
}

const remove = (from: number, settledBefore = new Date(Date.now() + 60_000)) =>
  removeSettledChunks(catalog, {
    source,
    lane: intakeLane,
    from: intakePosition(from),
    settledBefore,
  });

test('chunks go when their batch is settled everywhere and its time has come, never before', async () => {
  for (let n = 0; n < 5; n += 1) await append();
  const total = (await storedOf()) ?? 0;
  expect(await remove(1)).toBe(0); // not planned
  await plan(1, 3, true);
  await plan(3, 5, false);
  expect(await remove(1, new Date(0))).toBe(0); // settled later
  expect(await remove(1)).toBe(2);
  expect(await remove(3)).toBe(0); // one of its deliveries is open
  expect(await numbers()).toEqual([3, 4, 5]);
  expect(await storedOf()).toBe((total / 5) * 3);
});

test('sources with chunks behind the head of their lane are found, others are not', async () => {
  const isUnplanned = async () =>
    (await sourcesWithUnplannedChunks(catalog, intakeLane)).includes(source);
  expect(await isUnplanned()).toBe(false);
  await append();
  expect(await isUnplanned()).toBe(true); // its lane was never seen
  await plan(1, 2, false);
  expect(await isUnplanned()).toBe(false);
  await append();
  expect(await isUnplanned()).toBe(true);
});

test('a source is given one first token, whoever asks at the same time', async () => {
  const issue = () => issueFirstTokens(catalog, { sources: [source], author: 'test' });
  const issued = await Promise.all([issue(), issue(), issue()]);
  expect(issued.filter((tokens) => source in tokens)).toHaveLength(1);
  await revokeTokens(catalog, { source, author: 'test' });
  expect(await issue()).toEqual({}); // it had one: a person gives the next
});

test('a rotation never lengthens the life of a token', async () => {
  const rotate = (overlapMs: number) => rotateToken(catalog, { source, overlapMs, author: 'test' });
  const first = await rotate(0);
  await rotate(60_000);
  const endOf = async () =>
    (await listTokens(catalog)).find(({ tokenId }) => tokenId === first.tokenId)?.expiresAt;
  const end = await endOf();
  await rotate(3_600_000);
  expect(await endOf()).toBe(end);
});

test('a chunk is found by when it was received; none after the last one', async () => {
  const times: string[] = [];
  for (let n = 0; n < 3; n += 1) {
    await append();
    await catalog.query('SELECT pg_sleep(0.01)'); // what is asked for has no more than milliseconds
    const [row] = (await catalog.query<{ now: string }>('SELECT clock_timestamp() AS now')).rows;
    times.push(row?.now ?? '');
    await catalog.query('SELECT pg_sleep(0.01)');
  }
  const reader = createIntakeReader(catalog);
  const found = [];
  for (const time of ['2020-01-01', ...times]) {
    found.push(await reader.firstSince(source, new Date(time)));
  }
  expect(found).toEqual([1, 2, 3, null]);
});

test('chunks that a person moved the head over go when they are old, and block nothing behind', async () => {
  for (let n = 0; n < 4; n += 1) await append();
  await plan(3, 5, true);
  expect(await remove(1, new Date(Date.now() - 60_000))).toBe(0);
  expect(await remove(1)).toBe(2);
  expect(await numbers()).toEqual([3, 4]);
  expect(await remove(3)).toBe(2);
  expect(await storedOf()).toBe(0);
});

test('of two that give a source another token at once one is the last, and its token alone stays', async () => {
  await Promise.all(
    [1, 2, 3].map(() => rotateToken(catalog, { source, overlapMs: 0, author: 'admin' })),
  );
  const valid = (await listTokens(catalog)).filter((one) => one.source === source);
  expect(valid).toHaveLength(1);
});
