import { createServer } from 'node:http';
import type { IntakeRules } from '../core/intake.ts';
import { IntakeGate } from '../intake/gate.ts';
import { EventsEndpoint, type EndpointParts } from '../server/intake/events-endpoint.ts';
import { BodyBudget } from '../server/intake/read-body.ts';

/** The floor of the HTTP cases: the same endpoint, which stores nothing. Says its port and stays. */
const maxHeaders = 100;
const rules: IntakeRules = {
  defaultStream: 'app',
  eventTypeField: null,
  allowsQueryToken: false,
  signature: null,
  maxBodyBytes: 2 ** 23,
  eventsPerSecond: null,
  quotaBytes: Number.MAX_SAFE_INTEGER,
};
const known = { name: 'app', type: 'http', rules, hasPipeline: true };

const endpoint = new EventsEndpoint({
  directory: {
    find: () => known,
    ownerOf: () => 'app',
  } as Partial<EndpointParts['directory']> as EndpointParts['directory'],
  gate: new IntakeGate({ minFreeBytes: 0, readFreeBytes: async () => 2 ** 40, now: Date.now }),
  sink: { write: async () => ({ chunk: 1 }) },
  budget: new BodyBudget(2 ** 26),
  keepUnparsed: async () => 'none',
  isAdmin: async () => false,
  isAllowedHost: () => true,
  maxHeaders,
  log: undefined as never, // nothing goes wrong here
});
const server = createServer((request, response) => void endpoint.handle(request, response));
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  process.stdout.write(`${typeof address === 'object' ? address?.port : ''}\n`);
});
process.stdin.on('end', () => process.exit(0)).resume(); // ends with who started it
