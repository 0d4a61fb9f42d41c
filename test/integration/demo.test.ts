import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { changeShop } from '../../demo/change-shop.ts';
import { postEvents, type PostOptions } from '../../demo/post-events.ts';
import { fillShop } from '../../demo/shop-tables.ts';
import { queryAt, startPostgres, type PostgresServer } from '../support/postgres-server.ts';

/** Takes posts as the story says; one answer after the other. */
async function startEndpoint(answer: (count: number) => number | 'lose') {
  const bodies: string[] = [];
  const listen = async (...[request, response]: Parameters<RequestListener>): Promise<void> => {
    let body = '';
    for await (const chunk of request) body += String(chunk);
    bodies.push(body);
    const status = answer(bodies.length);
    if (status === 'lose') response.destroy();
    else response.writeHead(status).end();
  };
  const server = createServer((request, response) => void listen(request, response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    bodies,
    url: `http://127.0.0.1:${port}/v1/events/app`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

const post = (url: string, more: Partial<PostOptions>) =>
  postEvents({
    url,
    token: 'any',
    run: 'run',
    eventsPerSecond: 200,
    until: Date.now() + 1_000,
    signal: new AbortController().signal,
    patienceMs: 10_000,
    ...more,
  });

describe('the events of the demo', () => {
  test('come at their rate, and stop when their time is over', async () => {
    await using endpoint = await startEndpoint(() => 202);
    const { posted } = await post(endpoint.url, {});
    expect(posted).toBe(20 * endpoint.bodies.length);
    expect(posted).toBeGreaterThan(0);
    expect(posted).toBeLessThanOrEqual(200);
  });

  test('are sent again as they were where the server is busy or its answer is lost', async () => {
    const answers = [503, 'lose', 202] as const;
    await using endpoint = await startEndpoint((count) => answers[count - 1] ?? 202);
    const stop = new AbortController();
    await post(endpoint.url, {
      until: Number.POSITIVE_INFINITY,
      signal: stop.signal,
      onPosted: () => stop.abort(),
    });
    const [first, ...others] = endpoint.bodies;
    expect(others).toEqual([first, first]);
  });

  test('are taken where not one of them can be read: they are kept for review', async () => {
    await using endpoint = await startEndpoint(() => 400);
    const { posted } = await post(endpoint.url, { eventsPerSecond: 5 });
    expect(posted).toBe(endpoint.bodies.length);
  });

  test('end at once when told to, also while nobody answers', async () => {
    const { promise: asked, resolve } = Promise.withResolvers<void>();
    const silent = createServer(() => resolve());
    silent.listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const stop = new AbortController();
    const { port } = silent.address() as AddressInfo;
    const posting = post(`http://127.0.0.1:${port}/`, { signal: stop.signal });
    await asked;
    stop.abort();
    expect(await posting).toEqual({ posted: 0, odd: 0 });
    silent.closeAllConnections();
    silent.close();
  });

  test('are given up where nothing takes them, with what was answered', async () => {
    await using endpoint = await startEndpoint(() => 401);
    await expect(post(endpoint.url, { patienceMs: 0 })).rejects.toMatchObject({
      kind: 'source-unavailable',
      message: 'the server answered 401: see "status"',
    });
  });
});

describe('the shop of the demo', () => {
  let server: PostgresServer;
  let url: string;
  beforeAll(async () => {
    server = await startPostgres();
    url = await server.createDatabase('shop');
    await fill();
  });
  afterAll(() => server[Symbol.asyncDispose]());

  async function fill(): Promise<void> {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    await fillShop(client);
    await client.end();
  }

  const read = (table: string) =>
    queryAt<Record<string, unknown>>(
      url,
      `SELECT to_jsonb(t) - 'updated_at' AS row FROM ${table} t`,
    );

  const file = (name: string) =>
    readFileSync(new URL(`../../node_modules/vega-datasets/data/${name}`, import.meta.url), 'utf8');

  test('has every row of its files', async () => {
    const cars = JSON.parse(file('cars.json')) as Record<string, unknown>[];
    const found = await queryAt<Record<string, unknown>>(
      url,
      `SELECT name AS "Name", miles_per_gallon::float AS "Miles_per_Gallon", cylinders AS "Cylinders",
          displacement::float AS "Displacement", horsepower AS "Horsepower",
          weight_in_lbs AS "Weight_in_lbs", acceleration::float AS "Acceleration",
          year::text AS "Year", origin AS "Origin" FROM cars ORDER BY id`,
    );
    expect(found).toEqual(cars);
    const countries = JSON.parse(file('countries.json')) as Record<string, unknown>[];
    const rows = await queryAt<Record<string, unknown>>(
      url,
      'SELECT country, year, fertility::float, life_expect::float FROM countries',
    );
    expect(new Set(rows.map((row) => JSON.stringify(row)))).toEqual(
      new Set(
        countries.map(({ country, year, fertility, life_expect }) =>
          JSON.stringify({ country, year, fertility, life_expect }),
        ),
      ),
    );
    const stocks = await queryAt<{ line: string }>(
      url,
      `SELECT concat_ws(',', symbol, to_char(date, 'Mon FMDD YYYY'), price::float) AS line FROM stocks`,
    );
    const lines = file('stocks.csv').trim().split(/\r?\n/).slice(1);
    expect(stocks.map(({ line }) => line).toSorted()).toEqual(lines.toSorted());
  });

  test('is changed while time lasts, each change under a later time; filling it again changes nothing', async () => {
    const before = await read('stocks');
    const { signal } = new AbortController();
    const [{ at } = { at: '' }] = await queryAt<{ at: string }>(url, 'SELECT now()::text AS at');
    const changes = await changeShop({
      url,
      changesPerSecond: 100,
      until: Date.now() + 1_000,
      signal,
    });
    expect(changes).toBeGreaterThan(10);
    const after = await read('stocks');
    expect(after).not.toEqual(before);
    const [touched] = await queryAt<{ n: number }>(
      url,
      `SELECT (SELECT count(*) FROM stocks WHERE updated_at > '${at}')::int
            + (SELECT count(*) FROM cars WHERE updated_at > '${at}')::int AS n`,
    );
    expect(touched?.n).toBeGreaterThan(0);
    await fill();
    expect(await read('stocks')).toEqual(after);
  });

  test('outlives its sessions being ended', async () => {
    const stop = new AbortController();
    const changing = changeShop({
      url,
      changesPerSecond: 50,
      until: Number.POSITIVE_INFINITY,
      signal: stop.signal,
    });
    const sum = async () => JSON.stringify([await read('stocks'), await read('cars')]);
    const seen = await sum();
    await expect.poll(sum, { timeout: 20_000 }).not.toBe(seen);
    await server.asSuperuser(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'millrace-demo'`,
    );
    const cut = await sum();
    await expect.poll(sum, { timeout: 20_000 }).not.toBe(cut);
    stop.abort();
    expect(await changing).toBeGreaterThan(0);
  });
});
