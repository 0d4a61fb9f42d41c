import { createServer, type AddressInfo, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { postgresDestination } from '../../connectors/postgres/index.ts';
import { isPipelineError, type PipelineError } from '../../core/errors.ts';
import { openCatalog } from '../../store/catalog/catalog.ts';
import { queryAt, startPostgres, type PostgresServer } from '../support/postgres-server.ts';

/** Whatever is wrong with the way to a database: it is unavailable, and the message says why. */
let server: PostgresServer;
let url: string;
const { signal } = new AbortController();

beforeAll(async () => {
  server = await startPostgres();
  url = await server.createDatabase('reached');
});
afterAll(() => server[Symbol.asyncDispose]());

async function connectTo(at: string): Promise<PipelineError> {
  const identity = { installation: 'ours', name: 'warehouse' };
  await using destination = await postgresDestination.open({ url: at }, identity);
  const fault: unknown = await destination.check(signal).catch((error: unknown) => error);
  if (isPipelineError(fault)) return fault;
  throw new Error(`no PipelineError but ${String(fault)}`);
}

const changed = (change: (url: URL) => void) => {
  const other = new URL(url);
  change(other);
  return other.toString();
};

describe('what only a person can mend is refused', () => {
  test.each<[what: string, change: (url: URL) => void, says: RegExp]>([
    ['no password', (to) => (to.password = ''), /cannot be logged in to \(SASL.*user and password/],
    ['a wrong password', (to) => (to.password = 'wrong'), /refuses user or password/],
    ['no such user', (to) => (to.username = 'nobody_here'), /refuses user or password/],
    ['no such database', (to) => (to.pathname = '/nowhere'), /does not exist: create/],
    [
      'TLS wanted of a server without',
      (to) => to.searchParams.set('sslmode', 'require'),
      /no TLS connection .*correct sslmode/,
    ],
    [
      'a certificate that is not there',
      (to) => to.searchParams.set('sslrootcert', '/nowhere/root.crt'),
      /ENOENT/,
    ],
    [
      'a setting that the server does not know',
      (to) => to.searchParams.set('options', '-c no_such_setting=1'),
      /refuses the connection \(SQLSTATE 42704\): correct the url/,
    ],
  ])('%s', async (what, change, says) => {
    const { kind, message, details } = await connectTo(changed(change));
    expect({ kind, message }).toEqual({
      kind: 'destination-unavailable',
      message: expect.stringMatching(says),
    });
    if (what !== 'a certificate that is not there') expect(details).toHaveProperty('refused');
  });

  test('a user who may not connect', async () => {
    await queryAt(url, 'CREATE ROLE shut_out LOGIN PASSWORD $$shut$$').catch(() => undefined);
    await queryAt(url, 'REVOKE CONNECT ON DATABASE reached FROM PUBLIC');
    const fault = await connectTo(
      changed((to) => {
        to.username = 'shut_out';
        to.password = 'shut';
      }),
    );
    expect(fault.kind).toBe('destination-unavailable');
    expect(fault.details).toHaveProperty('refused');
  });
});

test.each<[what: string, change: (url: URL) => void]>([
  ['without a password', (to) => (to.password = '')],
  ['with TLS it does not have', (to) => to.searchParams.set('sslmode', 'require')],
  ['at a socket that is not there', (to) => to.searchParams.set('host', '/nowhere')],
])('the catalog %s is unavailable', async (_, change) => {
  await using catalog = openCatalog({ url: changed(change) });
  await expect(catalog.query('SELECT 1')).rejects.toMatchObject({ kind: 'catalog-unavailable' });
});

describe('what may pass is waited for', () => {
  test.each<[what: string, change: (url: URL) => void, says: RegExp]>([
    ['no such socket', (to) => to.searchParams.set('host', '/nowhere'), /ENOENT/],
    ['no such host', (to) => (to.hostname = 'nowhere.invalid'), /ENOTFOUND|EAI_AGAIN/],
    ['nobody listens', (to) => (to.port = '9'), /ECONNREFUSED/],
  ])('%s', async (_, change, says) => {
    const { kind, message, details } = await connectTo(changed(change));
    expect({ kind, details }).toEqual({ kind: 'destination-unavailable', details: {} });
    expect(message).toMatch(says);
  });

  test.each<[what: string, answer: (socket: Socket) => void]>([
    ['answers in HTTP and closes', (socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')],
    [
      'wants a login with Kerberos',
      (socket) => socket.end(Buffer.from('R\0\0\0\u0008\0\0\0\u0007')),
    ],
  ])('another service %s', async (_, answer) => {
    const stranger = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', () => answer(socket));
    });
    await new Promise<void>((resolve) => stranger.listen(0, '127.0.0.1', resolve));
    const { port } = stranger.address() as AddressInfo;
    const fault = await connectTo(changed((to) => (to.port = String(port))));
    stranger.close();
    expect(fault.kind).toBe('destination-unavailable');
  });
});
