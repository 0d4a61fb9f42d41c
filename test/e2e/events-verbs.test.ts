import { afterAll, beforeAll, expect, test } from 'vitest';
import type { TailAnswer, TraceAnswer } from '../../server/contract/traces.ts';
import { startInstance, type TestInstance } from '../support/instance.ts';
import { postEvents } from '../support/post-events.ts';
import { until } from '../support/until.ts';

const config = `
destinations: { warehouse: { type: postgres } }
sources: { app: { type: http }, other: { type: http } }
pipelines:
  app: { source: app, destinations: [warehouse] }
  other: { source: other, destinations: [warehouse] }
`;

let instance: TestInstance;

beforeAll(async () => {
  instance = await startInstance({ config });
});
afterAll(() => instance[Symbol.asyncDispose]());

interface Sent {
  readonly accepted: number;
  readonly faulty: number;
  readonly rejected: number;
}

test('a file is sent in batches, and sent again under its key while the server dies it is loaded once', async () => {
  const lines = Array.from({ length: 30_000 }, (_, n) => `{"n": ${n}, "text": "line ${n}"}`);
  await instance.write('lines.ndjson', `${lines.join('\n')}\n{"n": broken\n`);
  const send = () =>
    instance.json<Sent>([
      'events',
      'send',
      'app',
      'lines.ndjson',
      '--key',
      'file-1',
      '--type',
      'line',
    ]);
  const sending = send();
  const chunks = () => instance.catalog(`SELECT FROM millrace.intake_chunks WHERE source = 'app'`);
  await until('the first batches', async () => (await chunks()).length > 0);
  process.kill(await instance.pidOf('server'), 'SIGKILL');
  const expected = { accepted: 30_001, faulty: 1, rejected: 0 };
  expect(await sending).toMatchObject(expected);
  expect(await send()).toMatchObject(expected);
  const count = async () => {
    const [row] = await instance.warehouse<{ n: number; ids: number }>(
      'SELECT count(*)::int AS n, count(DISTINCT _event_id)::int AS ids FROM app.line',
    );
    return row;
  };
  await until('all lines', async () => (await count())?.n === 30_000);
  await instance.json(['sync', 'app'], [5]);
  expect(await count()).toEqual({ n: 30_000, ids: 30_000 });
});

test('an event is found wherever it is: loaded, sent twice, in review, or nowhere', async () => {
  const { body } = await postEvents(instance, { source: 'other', body: '{"n": 1}' });
  const own = '{"_metadata": {"@uuid": "a \\"quoted\\" id"}, "n": 2}';
  await postEvents(instance, { source: 'other', body: own });
  await postEvents(instance, { source: 'other', body: own });
  const trace = async (id: string) => {
    const settled = ({ received }: TraceAnswer) =>
      received.length > 0 &&
      received.every(({ deliveries: [one] }) => one && one.state !== 'pending');
    return until(`the trace of ${id}`, async () => {
      const answer = await instance.json<TraceAnswer>(['events', 'trace', id]);
      return settled(answer) && answer;
    });
  };
  expect(await trace(String(body['id']))).toMatchObject({
    received: [{ source: 'other', stream: 'other', bytes: 8, deliveries: [{ state: 'loaded' }] }],
    failed: [],
  });
  expect((await trace('a "quoted" id')).received).toHaveLength(2);
  const bad = await postEvents(instance, { source: 'other', body: '{"n": 1, "n": 2}' });
  const failed = { kind: 'invalid-json', state: 'open', destination: 'warehouse' };
  expect(await trace(String(bad.body['id']))).toMatchObject({
    received: [{ deliveries: [{ state: 'failed' }] }],
    failed: [failed],
  });
  const nowhere = await instance.cli('events', 'trace', 'nothing');
  expect(nowhere).toMatchObject({ code: 1, stderr: expect.stringMatching('no event nothing') });
});

test('tail shows what came in last, as it is', async () => {
  for (let n = 0; n < 5; n += 1) {
    const body = `{"n":  ${n}}`;
    await postEvents(instance, {
      source: 'other',
      body,
      headers: { 'idempotency-key': `tail-${n}` },
    });
  }
  const result = await instance.cli(
    'events',
    'tail',
    'other',
    '--lines',
    '2',
    '--no-follow',
    '--json',
  );
  const events = result.stdout.trim().split('\n');
  expect(events.map((line) => JSON.parse(line) as TailAnswer['events'][number])).toMatchObject([
    { id: 'tail-3', stream: 'other', raw: '{"n":  3}' },
    { id: 'tail-4', stream: 'other', raw: '{"n":  4}' },
  ]);
});
