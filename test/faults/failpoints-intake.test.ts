import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sendUntilTaken } from '../support/event-senders.ts';
import { armFailpoint } from '../support/failpoints.ts';
import { startInstance, type TestInstance } from '../support/instance.ts';
import { postEvents, type EventsReply } from '../support/post-events.ts';
import { until } from '../support/until.ts';

const config = `
destinations: { warehouse: { type: postgres } }
sources: { app: { type: http } }
pipelines: { app: { source: app, destinations: [warehouse] } }
`;

let instance: TestInstance;
let sent = 0;

beforeAll(async () => {
  instance = await startInstance({ config, environment: { MILLRACE_ALLOW_FAULTS: '1' } });
}, 120_000);

afterAll(() => instance?.[Symbol.asyncDispose]());

/** Two events under new ids. */
function makeBody(): string {
  const events = [1, 2].map(() => {
    sent += 1;
    return { n: sent, _metadata: { '@uuid': `event-${sent}` } };
  });
  return JSON.stringify(events);
}

/** Every event that was ever sent is in the table, once. */
async function audit(): Promise<void> {
  const rows = await until('what was sent', async () => {
    const found = await instance.warehouse<{ n: string; id: string }>(
      'SELECT n::text, _event_id AS id FROM app.app ORDER BY app.n',
    );
    return found.length >= sent && found;
  });
  const expected = Array.from({ length: sent }, (_, at) => `${at + 1}`);
  expect(rows).toEqual(expected.map((n) => ({ n, id: `event-${n}` })));
  expect(await instance.catalog('SELECT FROM millrace.failed_events')).toEqual([]);
}

describe('kill -9 of the server', () => {
  test.each(['body-read', 'chunk-committed'] as const)(
    'at %s: a sender who tries again has its events there, once',
    async (name) => {
      const server = await instance.pidOf('server');
      const point = await armFailpoint(instance.urls.home, `${name}=exit`);
      const { reply, retries } = await sendUntilTaken(instance, { body: makeBody() });
      expect(point.hasFired()).toBe(true);
      expect({ status: reply.status, retried: retries > 0 }).toEqual({
        status: 202,
        retried: true,
      });
      expect(await instance.pidOf('server')).not.toBe(server);
      await audit();
    },
  );

  test('at source-acknowledged: what was answered is there, though no sync was asked for', async () => {
    const point = await armFailpoint(instance.urls.home, 'source-acknowledged=exit');
    const { status } = await postEvents(instance, { body: makeBody() });
    expect(status).toBe(202);
    await point.untilFired(); // the answer may be here before the server comes by
    await audit();
  });
});

/** Answers once there is a server: one that was killed is started again. */
function post(body: string): Promise<EventsReply> {
  return until('an answer', () => postEvents(instance, { body }).catch(() => null));
}

describe('a server that goes on', () => {
  test.each(['body-read=throw', 'chunk-committed=throw'])(
    'after %s answers 500, and a sender who tries again has its events there, once',
    async (text) => {
      const point = await armFailpoint(instance.urls.home, text);
      const body = makeBody();
      expect((await post(body)).status).toBe(500);
      expect(point.hasFired()).toBe(true);
      expect((await post(body)).status).toBe(202);
      await audit();
    },
  );

  test('after source-acknowledged=throw has answered', async () => {
    const point = await armFailpoint(instance.urls.home, 'source-acknowledged=throw');
    expect((await post(makeBody())).status).toBe(202);
    await point.untilFired(); // the answer may be here before the server comes by
    await audit();
  });
});
