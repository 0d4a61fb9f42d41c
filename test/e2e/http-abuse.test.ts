import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, afterEach, expect, test } from 'vitest';
import { startInstance, type TestInstance } from '../support/instance.ts';
import { forgetPeakRss, peakRssMiB } from '../support/peak-memory.ts';
import { postEvents } from '../support/post-events.ts';
import { RawRequest } from '../support/raw-request.ts';
import { until } from '../support/until.ts';

const config = `
destinations: { warehouse: { type: postgres } }
sources: { app: { type: http } }
pipelines: { app: { source: app, destinations: [warehouse] } }
`;
const MiB = 2 ** 20;
const mayGrowMiB = 64;

let instance: TestInstance;
let server = 0;
let restMiB = 0;

beforeAll(async () => {
  instance = await startInstance({ config });
  server = await instance.pidOf('server');
  await send('{"n": 1}');
});
afterAll(() => instance[Symbol.asyncDispose]());

beforeEach(async () => {
  await forgetPeakRss(server);
  restMiB = await peakRssMiB(server);
});

/** Whatever was done to it: it has not grown, and takes the next event. */
afterEach(async () => {
  expect((await peakRssMiB(server)) - restMiB).toBeLessThanOrEqual(mayGrowMiB);
  expect(await instance.pidOf('server')).toBe(server);
  expect((await send('{"n": 1}')).status).toBe(202);
});

const send = (body: string | Uint8Array, headers = {}) => postEvents(instance, { body, headers });

function head(...lines: readonly string[]): string {
  return [
    'POST /v1/events/app HTTP/1.1',
    'Host: 127.0.0.1',
    `Authorization: Bearer ${instance.urls.tokens['app']}`,
    'Content-Type: application/json',
    ...lines,
    '',
    '',
  ].join('\r\n');
}

const request = () => new RawRequest(instance.urls.console);

test('a body of 1 GiB that says so is refused before it is read', async () => {
  using raw = request();
  await raw.send(head(`Content-Length: ${1024 * MiB}`));
  expect(await until('the answer', async () => raw.status)).toBe(413);
});

test('a body of 1 GiB that does not say so is refused once it is too large', async () => {
  using raw = request();
  await raw.send(head('Transfer-Encoding: chunked'));
  const part = Buffer.alloc(MiB, 0x20);
  let sent = 0;
  for (; sent < 1024 && !raw.isClosed; sent += 1) {
    await raw.send(`${part.length.toString(16)}\r\n`);
    await raw.send(part);
    if (!(await raw.send('\r\n'))) break;
  }
  expect(raw.status).toBe(413);
  expect(sent).toBeLessThan(1024);
});

test('without a token not even the first byte of a body is waited for', async () => {
  using raw = request();
  await raw.send(head('Content-Length: 100').replace(/Bearer .*/, 'Bearer mr_wrong'));
  expect(await until('the answer', async () => raw.status)).toBe(401);
});

test('many bodies that inflate without end are refused, as 413', async () => {
  const bomb = gzipSync(Buffer.alloc(256 * MiB, 0x20), { level: 9 });
  expect(bomb.length).toBeLessThan(MiB);
  const headers = { 'content-encoding': 'gzip' };
  const replies = await Promise.all(Array.from({ length: 30 }, () => send(bomb, headers)));
  for (const { status } of replies) expect([413, 503]).toContain(status);
  expect(replies.filter(({ status }) => status === 413).length).toBeGreaterThan(10);
});

test('10,000 headers are refused, short ones too, and 100 of them', async () => {
  for (const headers of [10_000, 100]) {
    using raw = request();
    const lines = Array.from({ length: headers }, (_, n) => `x${n}: 1`);
    await raw.send(head('Content-Length: 8', ...lines) + '{"n": 1}');
    expect(await until('the answer', async () => raw.status)).toBe(431);
  }
});

test('one header without end is refused', async () => {
  using raw = request();
  await raw.send(head(`X-Long: ${'x'.repeat(64 * 1024)}`));
  expect(await until('the answer', async () => raw.status)).toBe(431);
});

test('a host that is not ours is refused, with the token too', async () => {
  using raw = request();
  await raw.send(
    head('Content-Length: 8').replace('Host: 127.0.0.1', 'Host: evil.test') + '{"n": 1}',
  );
  expect(await until('the answer', async () => raw.status)).toBe(421);
});

test('two hundred senders who never end their headers lose their connections; others are served meanwhile', async () => {
  const slow = Array.from({ length: 200 }, request);
  try {
    for (const raw of slow) await raw.send(head('Content-Length: 8').slice(0, -2));
    expect((await send('{"n": 1}')).status).toBe(202);
    await until('the connections to end', async () => slow.every((raw) => raw.isClosed), 30_000);
  } finally {
    for (const raw of slow) raw[Symbol.dispose]();
  }
});

test('hundreds of bodies that never end hold no more memory than there is for them', async () => {
  const slow = Array.from({ length: 300 }, request);
  try {
    const part = Buffer.alloc(MiB, 0x20);
    for (const raw of slow) {
      await raw.send(head(`Content-Length: ${7 * MiB}`));
      await raw.send(part);
    }
    const refused = await until('those that find no room', async () => {
      const busy = slow.filter((raw) => raw.status === 503);
      return busy.length > 200 && busy;
    });
    expect(refused.length).toBeLessThan(slow.length);
  } finally {
    for (const raw of slow) raw[Symbol.dispose]();
  }
  await until('room again', async () => (await send('{"n": 1}')).status === 202);
});
