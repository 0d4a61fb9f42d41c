import { expect, test } from 'vitest';
import { startInstance } from '../support/instance.ts';
import { postEvents } from '../support/post-events.ts';
import { RawRequest } from '../support/raw-request.ts';
import { until } from '../support/until.ts';

/** Heavy: a request may take a minute. */
test('senders who dribble their bodies lose their connections after a minute, and nothing of them is stored', async () => {
  await using instance = await startInstance({
    config: `
destinations: { warehouse: { type: postgres } }
sources: { app: { type: http } }
pipelines: { app: { source: app, destinations: [warehouse] } }
`,
  });
  const head = [
    'POST /v1/events/app HTTP/1.1',
    'Host: 127.0.0.1',
    `Authorization: Bearer ${instance.urls.tokens['app']}`,
    'Content-Type: application/json',
    'Content-Length: 100000',
    '',
    '',
  ].join('\r\n');
  const slow = Array.from({ length: 100 }, () => new RawRequest(instance.urls.console));
  try {
    for (const raw of slow) await raw.send(head);
    await until(
      'the connections to end',
      async () => {
        for (const raw of slow) await raw.send('{');
        return slow.every((raw) => raw.isClosed);
      },
      90_000,
    );
  } finally {
    for (const raw of slow) raw[Symbol.dispose]();
  }
  expect((await postEvents(instance, { body: '{"n": 1}' })).status).toBe(202);
  expect(await instance.catalog('SELECT events FROM millrace.intake_chunks')).toEqual([
    { events: 1 },
  ]);
});
