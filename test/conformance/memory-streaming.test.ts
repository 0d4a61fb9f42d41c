import { expect, test } from 'vitest';
import { MemoryQueue, MemoryStreamingSource } from '../../connectors/memory/index.ts';
import { runStreamingSource } from '../../intake/run-streaming-source.ts';
import { testStreaming, TestSink } from './streaming-suite.ts';

const recordOf = (n: number) => Buffer.from(JSON.stringify({ n }));

testStreaming('memory', async () => {
  const queue = new MemoryQueue();
  return {
    async run(sink) {
      const stop = new AbortController();
      const source = new MemoryStreamingSource('memory', queue);
      const readResume = async () => sink.resume;
      const run = { sink, readResume, signal: stop.signal, pauseMs: 1 };
      const running = runStreamingSource(source, run);
      return {
        async [Symbol.asyncDispose]() {
          stop.abort();
          await running;
        },
      };
    },
    send(from, to) {
      for (let n = from; n < to; n += 1) queue.push(recordOf(n));
    },
    acknowledged: () => queue.acknowledged,
    numberOf: (record) => (JSON.parse(Buffer.from(record).toString()) as { n: number }).n,
    async [Symbol.asyncDispose]() {},
  };
});

test('a place to go on from that is not its own ends the run, nothing is received', async () => {
  const queue = new MemoryQueue();
  queue.push(recordOf(0));
  const sink = new TestSink();
  const run = {
    sink,
    readResume: async () => 'elsewhere',
    signal: new AbortController().signal,
    pauseMs: 1,
  };
  const running = runStreamingSource(new MemoryStreamingSource('memory', queue), run);
  await expect(running).rejects.toMatchObject({ kind: 'position-corrupt' });
  expect(sink.stored).toEqual([]);
});
