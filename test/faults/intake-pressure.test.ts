import { expect, test } from 'vitest';
import { startProxyFor } from '../support/fault-proxy/fault-proxy.ts';
import { startInstance, type TestInstance } from '../support/instance.ts';
import { startPostgres } from '../support/postgres-server.ts';
import { postEvents, type EventsReply } from '../support/post-events.ts';
import { until } from '../support/until.ts';

const config = `
destinations: { warehouse: { type: postgres } }
sources: { app: { type: http } }
pipelines: { app: { source: app, destinations: [warehouse] } }
`;

const post = (instance: TestInstance, n: number) =>
  postEvents(instance, { body: `{"n": ${n}, "_metadata": {"@uuid": "event-${n}"}}` });

function expectLater({ status, headers, body }: EventsReply, kind: string): void {
  expect({ status, body }).toMatchObject({ status: 503, body: { error: { kind } } });
  expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
}

test('while the catalog is away or does not answer, events are answered 503 and when to come again; what is answered 202 is loaded', async () => {
  await using postgres = await startPostgres();
  const url = await postgres.createDatabase('catalog');
  await using gate = await startProxyFor(url);
  await using instance = await startInstance({
    config,
    environment: { DATABASE_URL: gate.urlOf(url) },
  });
  expect((await post(instance, 1)).status).toBe(202);
  for (const close of ['shut', 'mute'] as const) {
    gate[close]();
    expectLater(await post(instance, 2), 'catalog-unavailable');
    gate.open();
    await until('the catalog again', async () => (await post(instance, 2)).status === 202, 30_000);
  }
  await until('both events', async () => {
    const rows = await instance.warehouse('SELECT n::int AS n FROM app.app ORDER BY n');
    return JSON.stringify(rows) === '[{"n":1},{"n":2}]';
  });
});

test('while PostgreSQL is killed under it, each event is either answered 202 and loaded, or answered 503', async () => {
  await using instance = await startInstance({ config });
  const replies = new Map<number, number>();
  let n = 0;
  const send = async (count: number) => {
    for (const end = n + count; n < end; n += 1) {
      const reply = await post(instance, n);
      replies.set(n, reply.status);
      if (reply.status !== 202) expectLater(reply, 'catalog-unavailable');
    }
  };
  await send(50);
  process.kill(await instance.pidOf('Postgres'), 'SIGKILL');
  await until('refused events', async () => {
    await send(5);
    return [...replies.values()].includes(503);
  });
  await until('taken events again', async () => {
    await send(5);
    return replies.get(n - 1) === 202;
  });
  const taken = [...replies].filter(([, status]) => status === 202).map(([at]) => at);
  await until('all that was taken', async () => {
    const rows = await instance.warehouse<{ n: string; id: string }>(
      'SELECT n::text, _event_id AS id FROM app.app',
    );
    const loaded = new Set(rows.map((row) => Number(row.n)));
    return loaded.size === rows.length && taken.every((at) => loaded.has(at));
  });
});

test('below the reserve of its disk the server takes nothing in, and says when to come again', async () => {
  const environment = { MILLRACE_MIN_FREE_BYTES: String(2 ** 60) };
  await using instance = await startInstance({ config, environment });
  const reply = await post(instance, 1);
  expectLater(reply, 'staging-unavailable');
  expect(reply.body).toMatchObject({
    error: { message: expect.stringMatching(/free some space/) },
  });
  expect(await instance.catalog('SELECT FROM millrace.intake_chunks')).toEqual([]);
});
