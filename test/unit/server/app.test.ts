import { describe, expect, test } from 'vitest';
import { PipelineError } from '../../../core/errors.ts';
import type { FailureKind } from '../../../core/failures.ts';
import { createApp } from '../../../server/app.ts';
import type { ErrorAnswer } from '../../../server/contract/errors.ts';
import { createFakeContext, token, type FakeParts } from './fake-context.ts';

const authorization = `Bearer ${token}`;
const json = { authorization, 'content-type': 'application/json' };

interface Ask {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string;
}

/** One request to a server of its own; the host is ours unless a header says otherwise. */
async function ask(path: string, { headers, ...rest }: Ask = {}, parts: FakeParts = {}) {
  await using fake = await createFakeContext(parts);
  const request = { ...rest, headers: { host: '127.0.0.1:8743', ...headers } };
  const response = await createApp(fake.server).request(path, request);
  const body = (await response.json()) as Partial<ErrorAnswer> & Record<string, unknown>;
  return { status: response.status, body, logged: fake.logged, statements: fake.statements };
}

describe('the door', () => {
  test('tells anybody on this machine that the server lives', async () => {
    expect(await ask('/livez')).toMatchObject({ status: 200, body: { live: true } });
  });

  test.each(['/v1/status', '/v1/configuration', '/v1/nothing', '/nothing', '/'])(
    'denies %s without a token, and says nothing about it',
    async (path) => {
      const { status, statements } = await ask(path);
      expect(status).toBe(401);
      expect(statements).toEqual([]);
    },
  );

  test.each(['Bearer wrong', `Bearer ${token}x`, `Bearer ${token.slice(0, -1)}`, token, 'Bearer '])(
    'denies the authorization "%s"',
    async (wrong) => {
      expect((await ask('/v1/version', { headers: { authorization: wrong } })).status).toBe(401);
    },
  );

  test('opens with the token of the home', async () => {
    const { status, body } = await ask('/v1/version', { headers: { authorization } });
    expect(status).toBe(200);
    expect(body['version']).toMatch(/^\d+\.\d+\.\d+/);
  });

  test('answers 404 to the token holder where there is nothing', async () => {
    const { status, body } = await ask('/v1/nothing', { headers: { authorization } });
    expect(status).toBe(404);
    expect(body.error?.kind).toBe('not-found');
  });

  test.each(['127.0.0.1', 'localhost:80', '[::1]:8743', 'LOCALHOST', 'millrace.test:1'])(
    'serves the host %s',
    async (host) => {
      const environment = { allowedHosts: ['millrace.test'] };
      expect((await ask('/livez', { headers: { host } }, { environment })).status).toBe(200);
    },
  );

  test.each(['evil.test', '127.0.0.1.evil.test', 'localhost.evil.test:80', ''])(
    'refuses the host "%s", with the token too',
    async (host) => {
      expect((await ask('/v1/version', { headers: { host, authorization } })).status).toBe(421);
    },
  );

  test.each(['text/plain', 'application/x-www-form-urlencoded', 'application/jsonp', ''])(
    'takes no writes as "%s"',
    async (type) => {
      const headers = { authorization, 'content-type': type };
      const { status, statements } = await ask('/v1/syncs', {
        method: 'POST',
        headers,
        body: '{}',
      });
      expect(status).toBe(400);
      expect(statements).toEqual([]);
    },
  );

  test('takes bodies up to 1 MiB', async () => {
    const body = ' '.repeat(2 ** 20 + 1);
    expect((await ask('/v1/syncs', { method: 'POST', headers: json, body })).status).toBe(413);
  });
});

describe('readiness', () => {
  test('names what is missing', async () => {
    const query = () => Promise.reject(new Error('refused'));
    const { status, body } = await ask('/readyz', {}, { query });
    expect(status).toBe(503);
    expect(body).toEqual({
      ready: false,
      reasons: ['the catalog database is away', 'Temporal is away'],
    });
  });

  const health = { state: 'ok', message: null } as const;
  const polling = (answer: boolean) => ({
    health,
    note: () => undefined,
    use: async () => answer as never,
  });

  test('waits for a worker', async () => {
    const { status, body } = await ask('/readyz', {}, { temporal: polling(false) });
    expect(status).toBe(503);
    expect(body['reasons']).toEqual(['no worker polls the task queue yet']);
  });

  test('is there when catalog, Temporal and a worker are', async () => {
    const { status, body } = await ask('/readyz', {}, { temporal: polling(true) });
    expect({ status, body }).toEqual({ status: 200, body: { ready: true, reasons: [] } });
  });
});

describe('requests that are wrong', () => {
  const post = (body: string) => ask('/v1/syncs', { method: 'POST', headers: json, body });

  test.each(['', '{', '[]', '{"pipelines":"all"}', '{"pipeline":["a"]}'])(
    'are told so: %j',
    async (body) => {
      const answer = await post(body);
      expect(answer.status).toBe(400);
      expect(answer.body.error).toMatchObject({ kind: 'invalid-request' });
      expect(answer.statements).toEqual([]);
    },
  );

  test('hear which pipelines there are', async () => {
    const { status, body } = await post('{"pipelines":["a"]}');
    expect(status).toBe(404);
    expect(body.error?.message).toBe('there is no pipeline a in the applied configuration: none');
  });

  test('may not apply a wrong configuration', async () => {
    const body = JSON.stringify({ configuration: { piplines: {} }, configDir: '/data' });
    const answer = await ask('/v1/configuration', { method: 'PUT', headers: json, body });
    expect(answer.status).toBe(400);
    expect(answer.body.error).toMatchObject({
      kind: 'invalid-config',
      message: 'piplines: unknown setting piplines',
    });
    expect(answer.statements).toEqual([]);
  });

  test('may not apply paths that begin nowhere', async () => {
    const body = JSON.stringify({ configuration: {}, configDir: 'data' });
    const answer = await ask('/v1/configuration', { method: 'PUT', headers: json, body });
    expect(answer.status).toBe(400);
    expect(answer.body.error?.message).toContain('must be an absolute path');
  });
});

describe('failures', () => {
  const failing = (error: Error) =>
    ask('/v1/tables', { headers: { authorization } }, { query: () => Promise.reject(error) });

  test.each<[FailureKind, number]>([
    ['invalid-request', 400],
    ['invalid-config', 400],
    ['schema-rejected', 400],
    ['not-found', 404],
    ['conflict', 409],
    ['catalog-unavailable', 503],
    ['destination-unavailable', 503],
    ['source-unavailable', 503],
    ['temporal-unavailable', 503],
    ['ledger-conflict', 500],
  ])('of kind %s answer %i with message and advice', async (kind, wanted) => {
    const { status, body } = await failing(new PipelineError(kind, 'what happened'));
    expect(status).toBe(wanted);
    const { advice } = new PipelineError(kind, '');
    expect(body).toEqual({ error: { kind, message: 'what happened', advice } });
  });

  test('that nobody foresaw show and log no values, but the place in the code', async () => {
    const { status, body, logged } = await failing(new Error('hunter2 is in row 7'));
    expect(status).toBe(500);
    expect(body.error?.kind).toBe('internal');
    expect(JSON.stringify(body)).not.toContain('hunter2');
    expect(logged).toHaveLength(1);
    expect(logged[0]).toContain('app.test.ts');
    expect(logged[0]).not.toContain('hunter2');
  });
});
