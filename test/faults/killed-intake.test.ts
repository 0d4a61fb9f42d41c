import { expect, test } from 'vitest';
import { startInstance } from '../support/instance.ts';
import { tellIntakeStory } from '../support/intake-story.ts';
import { postEvents } from '../support/post-events.ts';
import { until } from '../support/until.ts';

test('20,000 events of several clients, some sent twice, while the server is killed twice: each answered one is there, once', () =>
  tellIntakeStory({ events: 20_000, clients: 6, kills: 2 }));

test('an event that was answered and whose nudge was lost is loaded by maintain', async () => {
  await using instance = await startInstance({
    config: `
destinations: { warehouse: { type: postgres } }
sources: { app: { type: http } }
pipelines: { app: { source: app, destinations: [warehouse] } }
`,
  });
  await until('the sync of the start to end', async () => {
    return (await instance.catalog('SELECT FROM millrace.wanted_syncs')).length === 0;
  });
  const server = await instance.pidOf('server');
  const { status, body } = await postEvents(instance, { body: '{"n": 1}' });
  process.kill(server, 'SIGKILL'); // sooner than a nudge goes out
  expect(status).toBe(202);
  const [row] = await until('the event', async () => {
    const rows = await instance.warehouse('SELECT n, _event_id AS id FROM app.app');
    return rows.length > 0 && rows;
  });
  expect(row).toEqual({ n: '1', id: body['id'] });
});
