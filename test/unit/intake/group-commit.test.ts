import { expect, test } from 'vitest';
import { PipelineError } from '../../../core/errors.ts';
import type { IntakeEvent } from '../../../core/intake.ts';
import { eventIdOf, recordBytes, recordCount, versionOf } from '../../../core/records.ts';
import { decodeFrames } from '../../../formats/frames.ts';
import { GroupCommit } from '../../../intake/group-commit.ts';
import type { AppendedChunk, NewChunk } from '../../../store/catalog/intake-chunks.ts';

function event(id: string, stream = 'app'): IntakeEvent {
  return { id, stream, bytes: Buffer.from(`{"id":"${id}"}`) };
}

async function* once(bytes: Uint8Array) {
  yield bytes;
}

async function eventsOf({ content }: NewChunk) {
  const events = [];
  for await (const block of decodeFrames(once(content))) {
    for (let at = 0; at < recordCount(block); at += 1) {
      const raw = Buffer.from(recordBytes(block, at)).toString();
      const version = versionOf(block, at);
      events.push({ stream: block.stream, id: eventIdOf(block, at), raw, version });
    }
  }
  return events;
}

/** Commits that end when they are told to. */
function createStore() {
  const chunks: NewChunk[] = [];
  const open: { resolve: (chunk: AppendedChunk) => void; reject: (error: unknown) => void }[] = [];
  const append = (chunk: NewChunk) => {
    chunks.push(chunk);
    return new Promise<AppendedChunk>((resolve, reject) => void open.push({ resolve, reject }));
  };
  const appended: string[] = [];
  const sink = new GroupCommit({
    append,
    onAppended: (source, { chunk }) => void appended.push(`${source}/${chunk}`),
    maxQueuedBytes: 1_000,
    maxChunkBytes: 500,
  });
  const commit = (chunk: number) => open.shift()?.resolve({ chunk, storedBytes: 1 });
  const fail = (error: unknown) => open.shift()?.reject(error);
  return { sink, chunks, appended, commit, fail };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

test('what arrives together shares a chunk, what comes meanwhile shares the next', async () => {
  const { sink, chunks, commit, appended } = createStore();
  const first = ['a', 'b'].map((id) => sink.write({ source: 's', events: [event(id)] }));
  await turn();
  const second = ['c', 'd'].map((id) => sink.write({ source: 's', events: [event(id)] }));
  await turn();
  expect(chunks).toHaveLength(1);
  commit(1);
  expect(await Promise.all(first)).toEqual([{ chunk: 1 }, { chunk: 1 }]);
  await turn();
  commit(2);
  expect(await Promise.all(second)).toEqual([{ chunk: 2 }, { chunk: 2 }]);
  expect((await Promise.all(chunks.map(eventsOf))).map((all) => all.map(({ id }) => id))).toEqual([
    ['a', 'b'],
    ['c', 'd'],
  ]);
  expect(appended).toEqual(['s/1', 's/2']);
});

test('nobody is answered before the commit, nor after one that failed', async () => {
  const { sink, commit, fail } = createStore();
  let answered = false;
  const write = sink.write({ source: 's', events: [event('a')] });
  void write.then(
    () => void (answered = true),
    () => undefined,
  );
  await turn();
  expect(answered).toBe(false);
  const away = new PipelineError('catalog-unavailable', 'away');
  fail(away);
  await expect(write).rejects.toBe(away);
  const next = sink.write({ source: 's', events: [event('b')] });
  await turn();
  commit(1);
  expect(await next).toEqual({ chunk: 1 });
});

test('sources do not wait for one another', async () => {
  const { sink, chunks } = createStore();
  void sink.write({ source: 's', events: [event('a')] });
  void sink.write({ source: 't', events: [event('b')] });
  await turn();
  expect(chunks.map(({ source }) => source)).toEqual(['s', 't']);
});

test('a chunk has its events by stream, each with its place among all of them', async () => {
  const { sink, chunks } = createStore();
  const events = [event('a', 'x'), event('b', 'y'), event('c', 'x')];
  void sink.write({ source: 's', events, resume: '0/1' });
  await turn();
  expect(chunks[0]).toMatchObject({ events: 3, resume: '0/1' });
  expect(await eventsOf(chunks[0] as NewChunk)).toMatchObject([
    { stream: 'x', id: 'a', raw: '{"id":"a"}', version: expect.stringMatching(/0$/) },
    { stream: 'x', id: 'c', version: expect.stringMatching(/2$/) },
    { stream: 'y', id: 'b', version: expect.stringMatching(/1$/) },
  ]);
});

test('what would not fit into the queue is refused; a single large one always fits', async () => {
  const { sink, commit } = createStore();
  const large = { ...event('large'), bytes: Buffer.alloc(5_000) };
  const first = sink.write({ source: 's', events: [large] });
  await turn();
  await expect(sink.write({ source: 's', events: [event('b')] })).rejects.toMatchObject({
    kind: 'intake-busy',
  });
  commit(1);
  await first;
  const next = sink.write({ source: 's', events: [event('b')] });
  await turn();
  commit(2);
  expect(await next).toEqual({ chunk: 2 });
});
