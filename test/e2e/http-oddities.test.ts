import { createHmac, randomBytes } from 'node:crypto';
import { request, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startInstance, type TestInstance } from '../support/instance.ts';
import { postEvents } from '../support/post-events.ts';
import { RawRequest } from '../support/raw-request.ts';
import { until } from '../support/until.ts';

/** What senders do that nobody thought of, but they do. */
const secret = `whsec_${randomBytes(24).toString('base64')}`;
const config = `
destinations: { warehouse: { type: postgres } }
sources:
  app: { type: http }
  hooks: { type: http, signature: { secret: '${secret}' } }
pipelines:
  app: { source: app, destinations: [warehouse] }
  hooks: { source: hooks, destinations: [warehouse] }
`;

let instance: TestInstance;

beforeAll(async () => {
  instance = await startInstance({ config });
}, 180_000);
afterAll(() => instance?.[Symbol.asyncDispose]());

const chunksOf = async (source: string) =>
  (await instance.catalog(`SELECT FROM millrace.intake_chunks WHERE source = $1`, [source])).length;

/** Headers as bytes, which `fetch` does not send. */
async function raw(method: string, path: string, headers: Record<string, string>, body = '') {
  const url = new URL(path, instance.urls.console);
  const all = Object.entries({
    authorization: `Bearer ${instance.urls.tokens['app']}`,
    ...(body !== '' && { 'content-length': String(Buffer.byteLength(body)) }),
    ...headers,
  }).map(([name, value]) => [name, Buffer.from(value).toString('latin1')]);
  const sent = request(url, { method, headers: Object.fromEntries(all) });
  sent.end(Buffer.from(body)); // text would be joined with the headers, as UTF-8
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    sent.on('response', resolve).on('error', reject);
  });
  return { status: response.statusCode, body: JSON.parse(await text(response)) };
}

test('keys and types in headers are what their sender wrote, in any script', async () => {
  const headers = {
    'content-type': 'application/json',
    'idempotency-key': 'заказ-✓',
    'x-event-type': 'Größe',
  };
  const reply = await raw('POST', '/v1/events/app', headers, '{"n": 1}');
  expect(reply).toMatchObject({ status: 202, body: { id: 'заказ-✓' } });
  const row = await until('the row', async () => {
    return (await instance.warehouse('SELECT _event_id AS id FROM app.gr_e'))[0];
  });
  expect(row).toEqual({ id: 'заказ-✓' });
  const streams = await instance.catalog(
    `SELECT DISTINCT stream FROM millrace.mappings WHERE source = 'app'`,
  );
  expect(streams).toEqual([{ stream: 'Größe' }]);
});

test('a target with its host in front is the same request, under that host', async () => {
  const send = async (target: string) => {
    using sent = new RawRequest(instance.urls.console);
    await sent.send(
      [
        `${target} HTTP/1.1`,
        'Host: 127.0.0.1',
        `Authorization: Bearer ${instance.urls.tokens['app']}`,
        'Content-Type: application/json',
        'Content-Length: 8',
        '',
        '{"n": 1}',
      ].join('\r\n'),
    );
    return await until('the answer', async () => sent.status);
  };
  const { host } = new URL(instance.urls.console);
  expect(await send(`POST http://${host}/v1/events/app`)).toBe(202);
  expect(await send(`POST http://evil.test/v1/events/app`)).toBe(421);
  expect(await send(`GET http://${host}/livez`)).toBe(200);
  expect(await send(`GET http://evil.test/livez`)).toBe(421);
});

test('documents over several lines, one behind the other, are one body that cannot be parsed', async () => {
  const pretty = (n: number) => `{\n  "n": ${n},\n  "of": { "two": true }\n}\n`;
  const before = await chunksOf('app');
  const body = pretty(1) + pretty(2);
  const { status, body: answer } = await postEvents(instance, { body });
  expect(status).toBe(400);
  expect(answer).toMatchObject({ error: { kind: 'invalid-json' }, id: expect.any(String) });
  expect(await chunksOf('app')).toBe(before + 1);
  const failed = await until('the failed event', async () => {
    const rows = await instance.catalog<{ raw: Buffer }>(
      `SELECT raw FROM millrace.failed_events WHERE event_id = $1`,
      [answer['id']],
    );
    return rows[0];
  });
  expect(failed.raw.toString()).toBe(body);
});

test('a GET that names the type of a body it does not have is an event; one with a body is not', async () => {
  const headers = { 'content-type': 'application/x-www-form-urlencoded' };
  expect(await raw('GET', '/v1/events/app?page=home', headers)).toMatchObject({ status: 202 });
  const before = await chunksOf('app');
  const reply = await raw('GET', '/v1/events/app?page=home', headers, '{"n": 1}');
  expect(reply).toMatchObject({ status: 400, body: { error: { message: /GET has no body/ } } });
  expect(await chunksOf('app')).toBe(before);
});

test('an event that is nested too deeply is refused under that name', async () => {
  const body = `{"a": ${'['.repeat(100)}${']'.repeat(100)}}`;
  const reply = await postEvents(instance, { body });
  expect(reply).toMatchObject({ status: 400, body: { error: { kind: 'too-deep' } } });
});

test('a signed request that is sent again under another key is the same event', async () => {
  const body = '{"paid": 12}';
  const timestamp = String(Math.floor(Date.now() / 1000));
  const hmac = createHmac('sha256', Buffer.from(secret.slice(6), 'base64'));
  const signed = {
    authorization: '',
    'webhook-id': 'msg_7',
    'webhook-timestamp': timestamp,
    'webhook-signature': `v1,${hmac.update(`msg_7.${timestamp}.${body}`).digest('base64')}`,
  };
  for (const key of ['first', 'second']) {
    const headers = { ...signed, 'idempotency-key': key };
    const reply = await postEvents(instance, { source: 'hooks', body, headers });
    expect(reply).toMatchObject({ status: 202, body: { id: 'msg_7' } });
  }
  await instance.json(['sync', 'hooks']);
  expect(await instance.warehouse('SELECT paid FROM hooks.hooks')).toEqual([{ paid: '12' }]);
});

test('events send takes keys and types of any script, and says what it cannot read', async () => {
  const file = await instance.write('events.ndjson', '{"n": 1}\n\n');
  const send = ['events', 'send', 'app', file, '--key', 'ключ', '--type', '日本'];
  expect(await instance.json(send)).toMatchObject({ accepted: 1, rejected: 0 });
  const trace = ['events', 'trace', 'ключ/0#0'];
  expect(await instance.json(trace)).toMatchObject({ received: [{ stream: '日本' }] });
  const missing = await instance.cli('events', 'send', 'app', 'nowhere.ndjson');
  expect(missing).toMatchObject({ code: 2, stderr: /nowhere\.ndjson cannot be read \(ENOENT\)/ });
  expect(await instance.cli('events', 'send', 'app', file, '--key', 'a\nb')).toMatchObject({
    code: 2,
  });
});

test('a lane of an intake cannot be moved beyond what came in: what comes next would be skipped', async () => {
  await instance.json(['sync', 'app'], [0, 5]);
  await instance.json(['pause', 'app']);
  const { lanes } = await instance.json<{ lanes: { head: string }[] }>(['state', 'show', 'app']);
  const head = lanes[0]?.head ?? '';
  const beyond = String(Number(head) + 1).padStart(15, '0');
  const set = (position: string) => instance.cli('state', 'set', 'app', 'intake', position);
  for (const position of [beyond, '999999999999999']) {
    expect(await set(position)).toMatchObject({ code: 2, stderr: /no record ends at/ });
  }
  expect(await set(head)).toMatchObject({ code: 0 });
  await postEvents(instance, { body: '{"after": true}' });
  await instance.json(['resume', 'app']);
  await instance.json(['sync', 'app'], [0, 5]);
  expect(await instance.warehouse('SELECT after FROM app.app WHERE after')).toEqual([
    { after: true },
  ]);
});
