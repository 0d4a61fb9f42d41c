import { MemoryOrigin, MemorySource } from '../../connectors/memory/index.ts';
import { testSource } from './source-suite.ts';

testSource(
  'memory',
  async () => {
    const origin = new MemoryOrigin();
    return {
      open: () => new MemorySource('memory', origin),
      async add(lane, from, to) {
        const numbers = Array.from({ length: to - from }, (_, at) => from + at);
        origin.append(
          lane,
          numbers.map((n) => Buffer.from(JSON.stringify({ n, text: `record ${n}` }))),
        );
      },
      numberOf: (record) => (JSON.parse(Buffer.from(record).toString()) as { n: number }).n,
      async drop(lane) {
        origin.drop(lane);
      },
      async goAway() {
        origin.reachable = false;
      },
      async [Symbol.asyncDispose]() {},
    };
  },
  { grows: true },
);
