import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  startFaultProxy,
  startProxyFor,
  type FaultProxy,
} from '../support/fault-proxy/fault-proxy.ts';
import { queryAt, startPostgres, type PostgresServer } from '../support/postgres-server.ts';
import { until } from '../support/until.ts';

let echo: Server;
let proxy: FaultProxy;
const served = new Set<Socket>();

beforeEach(async () => {
  echo = createServer({ allowHalfOpen: true }, (socket) => {
    served.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => served.delete(socket));
    socket.pipe(socket);
  }).listen(0, '127.0.0.1');
  await once(echo, 'listening');
  proxy = await startFaultProxy((echo.address() as AddressInfo).port);
});

afterEach(async () => {
  await proxy[Symbol.asyncDispose]();
  for (const socket of served) socket.destroy();
  echo.close();
});

interface Talk {
  readonly socket: Socket;
  readonly pieces: Buffer[];
  readonly heard: () => string;
  /** Code of the error with which it ended; `end` where the other side ended it in order. */
  readonly ended: Promise<string>;
}

async function talk(text = ''): Promise<Talk> {
  const socket = connect(proxy.port, '127.0.0.1');
  const pieces: Buffer[] = [];
  socket.on('data', (piece) => pieces.push(piece));
  const ended = new Promise<string>((resolve) => {
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'error'));
    socket.on('end', () => resolve('end'));
    socket.on('close', () => resolve('close'));
  });
  await once(socket, 'connect');
  socket.write(text);
  return { socket, pieces, heard: () => Buffer.concat(pieces).toString(), ended };
}

async function untilHeard({ heard }: Talk, text: string): Promise<number> {
  const from = performance.now();
  await until(`"${text.slice(0, 20)}"`, async () => heard() === text);
  return performance.now() - from;
}

describe('a way through the proxy', () => {
  test('passes all bytes in their order, and the end of each direction', async () => {
    const text = 'x'.repeat(5_000_000) + 'the end';
    const one = await talk(text);
    one.socket.end();
    expect(await one.ended).toBe('end');
    expect(one.heard()).toBe(text);
    await until('no connection', async () => proxy.connectionCount() === 0);
  });

  test('is late by latency and jitter, each way, and keeps the order', async () => {
    await using late = await startFaultProxy((echo.address() as AddressInfo).port, {
      random: () => 0.5,
    });
    late.shape({ latencyMs: 100, jitterMs: 200 });
    const socket = connect(late.port, '127.0.0.1');
    const from = performance.now();
    socket.write('one');
    const [bytes] = (await once(socket, 'data')) as [Buffer];
    expect(bytes.toString()).toBe('one');
    expect(performance.now() - from).toBeGreaterThanOrEqual(395);
    socket.destroy();
  });

  test('is no faster than its bandwidth', async () => {
    proxy.shape({ bytesPerSecond: 100_000, sliceBytes: 10_000 });
    const text = 'y'.repeat(50_000);
    expect(await untilHeard(await talk(text), text)).toBeGreaterThan(450);
  });

  test('cuts bytes into slices', async () => {
    proxy.shape({ sliceBytes: 3 });
    const one = await talk('abcdefgh');
    await untilHeard(one, 'abcdefgh');
    expect(one.pieces.length).toBeGreaterThan(1);
    expect(Math.max(...one.pieces.map(({ length }) => length))).toBeLessThanOrEqual(3);
  });

  test('lets the end of a connection come late', async () => {
    proxy.shape({ slowCloseMs: 300 });
    const one = await talk('bye');
    await untilHeard(one, 'bye');
    const from = performance.now();
    one.socket.end();
    await one.ended;
    expect(performance.now() - from).toBeGreaterThanOrEqual(290);
  });

  test('resets what stands and lets others through', async () => {
    const one = await talk('one');
    await untilHeard(one, 'one');
    proxy.reset();
    expect(await one.ended).toBe('ECONNRESET');
    await untilHeard(await talk('two'), 'two');
  });

  test('falls silent both ways without a word, also of an end; opened again, those who waited are cut', async () => {
    const one = await talk('one');
    await untilHeard(one, 'one');
    proxy.mute();
    one.socket.write('two');
    const other = await talk('three');
    other.socket.end();
    for (const socket of served) socket.write('from the server');
    const silent = await Promise.race([
      one.ended,
      other.ended,
      new Promise((resolve) => setTimeout(() => resolve('silent'), 300)),
    ]);
    expect([silent, one.heard(), other.heard(), served.size]).toEqual(['silent', 'one', '', 2]);
    proxy.open();
    await Promise.all([one.ended, other.ended]);
    await untilHeard(await talk('four'), 'four');
  });

  test('can be shut and healed', async () => {
    const one = await talk('one');
    await untilHeard(one, 'one');
    proxy.shut();
    await one.ended;
    await (
      await talk('two')
    ).ended;
    proxy.shape({ latencyMs: 100_000 });
    proxy.heal();
    await untilHeard(await talk('three'), 'three');
  });
});

describe('on the way to PostgreSQL', () => {
  let postgres: PostgresServer;
  let url: string;

  beforeAll(async () => {
    postgres = await startPostgres();
    url = await postgres.createDatabase('proxied');
    await queryAt(url, 'CREATE TABLE numbers (n int)');
  }, 120_000);

  afterAll(() => postgres?.[Symbol.asyncDispose]());

  async function connectBy(way: FaultProxy): Promise<pg.Client> {
    const client = new pg.Client({ connectionString: way.urlOf(url) });
    client.on('error', () => undefined);
    await client.connect();
    return client;
  }

  async function commit(way: FaultProxy, n: number): Promise<'answered' | 'lost'> {
    const client = await connectBy(way);
    try {
      await client.query('BEGIN');
      await client.query('INSERT INTO numbers VALUES ($1)', [n]);
      await client.query('COMMIT');
      return 'answered';
    } catch {
      return 'lost';
    } finally {
      await client.end().catch(() => undefined);
    }
  }

  test('the answer to COMMIT is cut so many times, and what was committed is there', async () => {
    await using way = await startProxyFor(url);
    way.shape({ sliceBytes: 7 });
    way.cutAnswers('COMMIT', 2);
    const outcomes = [];
    for (const n of [1, 2, 3]) outcomes.push(await commit(way, n));
    expect(outcomes).toEqual(['lost', 'lost', 'answered']);
    expect(way.cutCount()).toBe(2);
    const rows = await queryAt<{ n: number }>(url, 'SELECT n FROM numbers ORDER BY n');
    expect(rows.map(({ n }) => n)).toEqual([1, 2, 3]);
  });

  test('other answers are cut by their tag', async () => {
    await using way = await startProxyFor(url);
    way.cutAnswers(/^DELETE/, 1);
    const client = await connectBy(way);
    await expect(client.query('DELETE FROM numbers')).rejects.toThrow();
    expect(await queryAt(way.urlOf(url), 'SELECT FROM numbers')).toEqual([]);
  });
});
