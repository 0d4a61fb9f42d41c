import { createHash, createHmac, randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startInstance, type TestInstance } from '../support/instance.ts';
import { postEvents, type EventsPost } from '../support/post-events.ts';
import { until } from '../support/until.ts';

const secret = `whsec_${randomBytes(24).toString('base64')}`;
const config = `
destinations: { warehouse: { type: postgres } }
sources:
  app: { type: http }
  slow: { type: http, maxEventsPerSecond: 1 }
  hooks: { type: http, eventTypeField: type, signature: { secret: '${secret}' } }
  pixel: { type: http, queryToken: true, requireEventType: true }
  loose: { type: http }
  files: { type: file, path: '*.ndjson' }
pipelines:
  app: { source: app, destinations: [warehouse] }
  slow: { source: slow, destinations: [warehouse] }
  hooks: { source: hooks, destinations: [warehouse] }
  pixel: { source: pixel, destinations: [warehouse] }
  files: { source: files, destinations: [warehouse] }
`;

let instance: TestInstance;

beforeAll(async () => {
  instance = await startInstance({ config });
});
afterAll(() => instance[Symbol.asyncDispose]());

const post = (given: Partial<EventsPost>) => postEvents(instance, { body: '{"n": 1}', ...given });
const statusOf = async (given: Partial<EventsPost>) => (await post(given)).status;

function untilRow(sql: string, values: unknown[] = []) {
  return until(sql, async () => (await instance.warehouse(sql, values))[0]);
}

describe('who may post', () => {
  test('the token of the source, and nobody without one', async () => {
    expect(await statusOf({})).toBe(202);
    expect(await statusOf({ token: 'mr_wrong' })).toBe(401);
    expect(await statusOf({ headers: { authorization: '' } })).toBe(401);
    expect(await statusOf({ source: 'nothing', token: 'mr_wrong' })).toBe(401);
    expect(await statusOf({ query: `?token=${instance.urls.tokens['app']}`, token: 'no' })).toBe(
      401,
    );
  });

  test('a token opens its own source only; of others it learns what is there', async () => {
    const token = instance.urls.tokens['app'] ?? '';
    expect(await statusOf({ source: 'slow', token })).toBe(403);
    expect(await statusOf({ source: 'nothing', token })).toBe(404);
    expect(await statusOf({ source: 'files', token })).toBe(403);
  });

  test('a source without a pipeline takes nothing', async () => {
    const { status, body } = await post({ source: 'loose' });
    expect(status).toBe(409);
    expect(body).toMatchObject({ error: { message: /belongs to no pipeline/ } });
    expect(await instance.catalog(`SELECT FROM millrace.intakes WHERE source = 'loose'`)).toEqual(
      [],
    );
  });

  test('tokens are stored hashed, rotate with an overlap, and end when they are revoked', async () => {
    const first = instance.urls.tokens['slow'] ?? '';
    const dump = JSON.stringify(await instance.catalog('SELECT * FROM millrace.source_tokens'));
    expect(dump).not.toContain(first);
    expect(dump).toContain(createHash('sha256').update(first).digest('hex'));
    const rotate = ['source', 'token', 'rotate', 'slow', '--overlap'];
    const second = await instance.json<{ token: string }>([...rotate, '1h']);
    const third = await instance.json<{ token: string; tokenId: string }>([...rotate, '1h']);
    const statuses = [];
    for (const token of [first, second.token, third.token]) {
      statuses.push(await statusOf({ source: 'slow', token, body: '[]' }));
    }
    expect(statuses).toEqual([202, 202, 202]);
    await instance.json([...rotate, '0']);
    for (const token of [first, second.token, third.token]) {
      expect(await statusOf({ source: 'slow', token, body: '[]' })).toBe(401);
    }
    expect(await instance.json(['source', 'token', 'list', 'slow'])).toHaveLength(1);
    expect(await instance.json(['source', 'token', 'revoke', 'slow'])).toMatchObject({
      revoked: 1,
    });
    expect(await instance.json(['source', 'token', 'list', 'slow'])).toEqual([]);
    const { token } = await instance.json<{ token: string }>([...rotate, '0']);
    expect(await statusOf({ source: 'slow', token, body: '[]' })).toBe(202);
  });

  test('an overlap that is no time is refused, and no token is made or ended', async () => {
    const tokens = () => instance.json(['source', 'token', 'list', 'slow']);
    const before = await tokens();
    for (const overlap of ['soon', '1', '-1h', '0h', '1w', '1.5h', '']) {
      const rotate = ['source', 'token', 'rotate', 'slow', `--overlap=${overlap}`];
      const { code, stdout, stderr } = await instance.cli(...rotate);
      expect({ overlap, code, stdout }).toEqual({ overlap, code: 2, stdout: '' });
      expect(stderr).toContain('--overlap takes 0, or a time such as 30m or 24h');
    }
    expect(await tokens()).toEqual(before);
  });

  test('a signed source takes what is signed, under the id of the webhook', async () => {
    const body = '{"type": "invoice.paid", "n": 7}';
    const sign = (id: string, timestamp: number, key = secret) => {
      const hmac = createHmac('sha256', Buffer.from(key.slice(6), 'base64'));
      return {
        'webhook-id': id,
        'webhook-timestamp': String(timestamp),
        'webhook-signature': `v1,${hmac.update(`${id}.${timestamp}.${body}`).digest('base64')}`,
        authorization: '',
      };
    };
    const now = Math.floor(Date.now() / 1000);
    const to = { source: 'hooks', body };
    expect(await post({ ...to, headers: sign('msg_1', now) })).toMatchObject({
      status: 202,
      body: { id: 'msg_1' },
    });
    const other = `whsec_${randomBytes(24).toString('base64')}`;
    expect(await statusOf({ ...to, headers: sign('msg_2', now, other) })).toBe(401);
    expect(await statusOf({ ...to, headers: sign('msg_3', now - 600) })).toBe(401);
    expect(await statusOf({ ...to, headers: { authorization: '' } })).toBe(401);
    expect(await statusOf(to)).toBe(401); // the token alone is not enough
    expect(await untilRow('SELECT n, _event_id AS id FROM hooks.invoice_paid')).toEqual({
      n: '7',
      id: 'msg_1',
    });
  });
});

describe('what may be posted', () => {
  test.each([
    ['text/plain', 415],
    ['application/x-www-form-urlencoded', 415],
    ['application/json; charset=latin1', 415],
    ['application/cloudevents+json; charset=utf-8', 202],
    ['application/x-ndjson', 202],
  ])('%s: %i', async (type, status) => {
    expect(await statusOf({ headers: { 'content-type': type } })).toBe(status);
  });

  test('gzip, and nothing packed in another way', async () => {
    const body = gzipSync('[{"n": 1}, {"n": 2}]');
    const packed = await post({ body, headers: { 'content-encoding': 'gzip' } });
    expect(packed).toMatchObject({ status: 202, body: { accepted: 2 } });
    expect(await statusOf({ headers: { 'content-encoding': 'br' } })).toBe(415);
    expect(await statusOf({ headers: { 'content-encoding': 'gzip' } })).toBe(400);
  });

  test('no other method, and no empty body', async () => {
    const url = `${instance.urls.console}/v1/events/app`;
    const headers = { authorization: `Bearer ${instance.urls.tokens['app']}` };
    expect((await fetch(url, { method: 'PUT', headers, body: '{}' })).status).toBe(405);
    expect(await statusOf({ body: ' \n' })).toBe(400);
  });

  test('a list is answered event by event', async () => {
    const large = JSON.stringify({ text: 'x'.repeat(4 * 2 ** 20) });
    const deep = `{"a": ${'['.repeat(100)}${']'.repeat(100)}}`;
    const headers = { 'idempotency-key': 'list-1' };
    const { status, body } = await post({
      body: `[{"n": 9}, ${large}, ${deep}, {"n": 9}]`,
      headers,
    });
    expect({ status, body }).toMatchObject({
      status: 207,
      body: {
        accepted: 2,
        rejected: 2,
        events: [
          { status: 'accepted', id: 'list-1#0' },
          { status: 'rejected', kind: 'too-large' },
          { status: 'rejected', kind: 'too-deep' },
          { status: 'accepted', id: 'list-1#3' },
        ],
      },
    });
    expect(await statusOf({ body: large })).toBe(413);
    expect(await statusOf({ body: deep })).toBe(400);
  });

  test('a GET makes an event of its query, its type and token apart', async () => {
    const query = new URLSearchParams({ token: instance.urls.tokens['pixel'] ?? '' });
    const url = `${instance.urls.console}/v1/events/pixel?${query.toString()}`;
    const seen = await fetch(`${url}&event_type=views&page=%2Fhome&n=07`);
    expect(seen.status).toBe(202);
    expect(await untilRow('SELECT page, n FROM pixel.views')).toEqual({ page: '/home', n: '07' });
    const { id } = (await (await fetch(`${url}&page=x`)).json()) as { id: string };
    const failed = await until('the event without a type', async () => {
      const sql = 'SELECT event_id, kind, stream FROM millrace.failed_events WHERE source = $1';
      return (await instance.catalog(sql, ['pixel']))[0];
    });
    expect(failed).toEqual({ event_id: id, kind: 'unmapped-stream', stream: 'pixel' });
  });
});

test('a body that cannot be parsed is kept once, answered 400 with the same id each time', async () => {
  const body = Buffer.from('{"n": 1, "half": "\xff', 'latin1');
  const replies = [];
  for (let times = 0; times < 3; times += 1) replies.push(await post({ body }));
  const id = replies[0]?.body['id'];
  expect(id).toMatch(/^[0-9a-f-]{36}$/);
  for (const reply of replies) {
    expect(reply).toMatchObject({ status: 400, body: { id, error: { kind: 'invalid-json' } } });
  }
  const sql = `SELECT event_id AS id, kind, raw, state FROM millrace.failed_events
                WHERE source = 'app' AND kind = 'invalid-json'`;
  const failed = await until('the failed event', async () => {
    const rows = await instance.catalog(sql);
    return rows.length > 0 && rows;
  });
  expect(failed).toEqual([{ id, kind: 'invalid-json', raw: body, state: 'open' }]);
});

test('above its rate a source is answered 429 and when to come again, and nothing is stored', async () => {
  const { token } = await instance.json<{ token: string }>(['source', 'token', 'rotate', 'slow']);
  const numbers = Array.from({ length: 50 }, (_, n) => n);
  const replies = await Promise.all(
    numbers.map((n) => post({ source: 'slow', token, body: `{"n": ${n}}` })),
  );
  const taken = replies.filter(({ status }) => status === 202);
  const refused = replies.filter(({ status }) => status === 429);
  expect([taken.length > 0, refused.length > 0, taken.length + refused.length]).toEqual([
    true,
    true,
    50,
  ]);
  for (const { headers } of refused) expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
  const [row] = await instance.catalog<{ events: string }>(
    `SELECT sum(events)::int AS events FROM millrace.intake_chunks WHERE source = 'slow'`,
  );
  expect(row?.events).toBe(taken.length);
});

test('a source with events that nobody has planned keeps its pipeline', async () => {
  const without = config.replace(/ {2}app: \{ source.*\n/, '');
  await instance.write('without.yaml', without);
  const worker = await instance.pidOf('worker');
  process.kill(worker, 'SIGSTOP');
  try {
    expect(await statusOf({ body: '{"n": 1}' })).toBe(202);
    const result = await instance.cli('apply', '-f', 'without.yaml');
    expect(result.stderr).toMatch('app cannot lose its pipeline');
    expect(result.code).not.toBe(0);
  } finally {
    process.kill(worker, 'SIGCONT');
  }
});
