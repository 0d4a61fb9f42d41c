import { afterAll, beforeAll, expect, test } from 'vitest';
import { startInstance, type TestInstance } from '../support/instance.ts';
import { postEvents } from '../support/post-events.ts';
import { until } from '../support/until.ts';

const config = `
destinations: { warehouse: { type: postgres } }
sources:
  app: { type: http }
pipelines:
  app: { source: app, destinations: [warehouse] }
`;

let instance: TestInstance;

beforeAll(async () => {
  instance = await startInstance({ config, environment: { MILLRACE_KEEP_EXTRACTS_MS: '0' } });
});
afterAll(() => instance[Symbol.asyncDispose]());

test('posted events are typed rows soon after they were answered, the bad ones wait in review', async () => {
  const post = (body: string, headers = {}) => postEvents(instance, { body, headers });
  const one = await post('{"n": 1, "at": "2026-11-26T10:00:00Z", "ok": true}');
  expect(one).toMatchObject({ status: 202, body: { status: 'accepted' } });
  const list = await post(
    '[{"n": 2, "amount": 12.50, "_metadata": {"@uuid": "own-2"}}, {"n": 3, "n": 3},' +
      ' {"n": 4, "_metadata": {"event_type": "clicks"}}]',
  );
  expect(list).toMatchObject({ status: 202, body: { accepted: 3, rejected: 0 } });
  const lines = await post('{"n": 5}\n{"n": \n\n{"n": 6}\n', {
    'content-type': 'application/x-ndjson',
    'idempotency-key': 'lines',
  });
  expect(lines.body).toMatchObject({
    accepted: 3,
    events: [{ id: 'lines#0' }, { id: 'lines#1', failure: 'invalid-json' }, { id: 'lines#2' }],
  });

  await until('all events', async () => {
    const [row] = await instance.warehouse('SELECT count(*)::int AS n FROM app.app');
    const [failed] = await instance.catalog(
      `SELECT count(*)::int AS n FROM millrace.failed_events WHERE source = 'app' AND state = 'open'`,
    );
    return row?.['n'] === 4 && failed?.['n'] === 2;
  });
  const rows = await instance.warehouse(
    'SELECT n, at, ok, amount::text, _event_id FROM app.app ORDER BY n',
  );
  expect(rows).toMatchObject([
    { n: '1', at: new Date('2026-11-26T10:00:00Z'), ok: true, _event_id: one.body['id'] },
    { n: '2', amount: '12.50', _event_id: 'own-2' },
    { n: '5', _event_id: 'lines#0' },
    { n: '6', _event_id: 'lines#2' },
  ]);
  expect(await instance.warehouse('SELECT n FROM app.clicks')).toEqual([{ n: '4' }]);
  const failed = await instance.catalog(
    `SELECT kind, convert_from(raw, 'UTF8') AS raw FROM millrace.failed_events ORDER BY event_id <> 'lines#1'`,
  );
  expect(failed).toEqual([
    { kind: 'invalid-json', raw: '{"n": ' },
    { kind: 'invalid-json', raw: '{"n": 3, "n": 3}' },
  ]);
});

test('chunks whose events are settled are removed by maintain, and free what the source may have', async () => {
  await until('the intake to be empty', async () => {
    const [row] = await instance.catalog<{ chunks: number; bytes: string }>(
      `SELECT (SELECT count(*)::int FROM millrace.intake_chunks) AS chunks, stored_bytes AS bytes
         FROM millrace.intakes WHERE source = 'app'`,
    );
    return row?.chunks === 0 && row.bytes === '0';
  });
});
