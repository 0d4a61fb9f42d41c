import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { httpSource } from '../../connectors/http/index.ts';
import type { IntakeRules } from '../../core/intake.ts';
import { IntakeGate } from '../../intake/gate.ts';
import type { SourceDirectory } from '../../server/intake/directory.ts';
import { EventsEndpoint } from '../../server/intake/events-endpoint.ts';
import { BodyBudget } from '../../server/intake/read-body.ts';
import { testStreaming, type StreamingFixture, type TestSink } from './streaming-suite.ts';

const rules = httpSource.intakeRules?.(httpSource.settings.parse({}), 'app') as IntakeRules;

/** The endpoint as the server has it, but for who may send and where it is stored. */
async function serve(sink: TestSink) {
  const known = { name: 'app', type: 'http', rules, hasPipeline: true };
  const directory: Pick<SourceDirectory, 'find' | 'ownerOf'> = {
    find: () => known,
    ownerOf: () => 'app',
  };
  const endpoint = new EventsEndpoint({
    directory: directory as SourceDirectory,
    gate: new IntakeGate({ minFreeBytes: 0, readFreeBytes: async () => 1, now: Date.now }),
    sink,
    budget: new BodyBudget(2 ** 20),
    keepUnparsed: async (_source, { id }) => id,
    isAdmin: async () => false,
    isAllowedHost: () => true,
    maxHeaders: 100,
    log: pino({ enabled: false }),
  });
  const server = createServer((request, response) => void endpoint.handle(request, response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

/** A sender with one event under way at a time: it sends it until it is answered 2xx. */
class Sender {
  readonly #records: number[] = [];
  url = '';
  acknowledged = 0;

  push(n: number): void {
    this.#records.push(n);
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const n = this.#records[this.acknowledged];
      if (n !== undefined && (await this.#post(n, signal))) this.acknowledged += 1;
      else await sleep(2);
    }
  }

  async #post(n: number, signal: AbortSignal): Promise<boolean> {
    const headers = {
      authorization: 'Bearer any',
      'content-type': 'application/json',
      'idempotency-key': `key-${n}`,
    };
    const request = { method: 'POST', headers, body: JSON.stringify({ n }), signal };
    const reply = await fetch(`${this.url}/v1/events/app`, request).catch(() => null);
    return reply?.status === 202;
  }
}

testStreaming('http', async (): Promise<StreamingFixture> => {
  const sender = new Sender();
  return {
    async run(sink) {
      const server = await serve(sink);
      sender.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      const stop = new AbortController();
      const sending = sender.run(stop.signal);
      return {
        async [Symbol.asyncDispose]() {
          stop.abort();
          await sending;
          server.closeAllConnections();
          server.close();
          await once(server, 'close');
        },
      };
    },
    send(from, to) {
      for (let n = from; n < to; n += 1) sender.push(n);
    },
    acknowledged: () => sender.acknowledged,
    numberOf: (record) => (JSON.parse(Buffer.from(record).toString()) as { n: number }).n,
    async [Symbol.asyncDispose]() {},
  };
});
