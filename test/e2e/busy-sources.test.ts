import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ensureDatabase } from '../../local/postgres-databases.ts';
import { startInstance, type TestInstance } from '../support/instance.ts';
import { postEvents } from '../support/post-events.ts';
import { queryAt } from '../support/postgres-server.ts';
import { until } from '../support/until.ts';

/** Sources that are never drained: a table that is written to, and events that are posted, all the time. */
const config = (url: string) => `
destinations:
  warehouse: { type: postgres }
sources:
  app: { type: http }
  shop: { type: postgres, url: ${url}, tables: { public.orders: { cursor: updated_at, lag: 1s } } }
pipelines:
  app: { source: app, destinations: [warehouse] }
  shop: { source: shop, destinations: [warehouse]SCHEDULE }
`;

let instance: TestInstance;
let url: string;
const stop = new AbortController();
const busy: Promise<void>[] = [];

beforeAll(async () => {
  instance = await startInstance({ config: 'destinations: { warehouse: { type: postgres } }\n' });
  const base = new URL(instance.urls.catalogUrl);
  base.pathname = '';
  url = await ensureDatabase(base.toString().replace(/\/$/, ''), 'shop');
  await queryAt(
    url,
    `CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, note text,
       updated_at timestamptz NOT NULL DEFAULT now())`,
  );
  await apply('');
  busy.push(write(), post());
}, 120_000);
afterAll(async () => {
  stop.abort();
  await Promise.all(busy);
  await instance?.[Symbol.asyncDispose]();
});

async function apply(schedule: string): Promise<void> {
  await instance.write('millrace.yaml', config(url).replace('SCHEDULE', schedule));
  const { tokens } = await instance.json<{ tokens: Record<string, string> }>(['apply']);
  Object.assign(token, tokens);
}
const token: { app?: string } = {};

/** Thirty rows a second. */
async function write(): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  while (!stop.signal.aborted) {
    await client.query(`INSERT INTO orders (note) VALUES ('busy')`);
    await sleep(30);
  }
  await client.end();
}

async function post(): Promise<void> {
  for (let n = 0; !stop.signal.aborted; n += 1) {
    const { status } = await postEvents(instance, { body: `{"n":${n}}`, token: token.app ?? '' });
    expect(status).toBe(202);
    await sleep(50);
  }
}

describe('a source that is written to all the time', () => {
  test('has a sync that ends, with all that was there when it was asked for', async () => {
    for (const source of ['shop', 'app']) {
      const note = `before the sync of ${source}`;
      await queryAt(url, 'INSERT INTO orders (note) VALUES ($1)', [note]);
      const reply = await postEvents(instance, {
        body: JSON.stringify({ n: -1, note }),
        token: token.app ?? '',
      });
      expect(reply.status).toBe(202);
      await instance.json(['sync', source, '--timeout', '120']);
      const table = source === 'shop' ? 'shop.orders' : 'app.app';
      expect(await instance.warehouse(`SELECT FROM ${table} WHERE note = $1`, [note])).toHaveLength(
        1,
      );
    }
  });

  test('is read at each time of its schedule, not without end', async () => {
    await apply(', schedule: every 20s');
    const newest = async () => {
      const [row] = await instance.catalog<{ n: number; at: string }>(
        `SELECT count(*)::int AS n, max(planned_at)::text AS at FROM millrace.batches WHERE source = 'shop'`,
      );
      return row ?? { n: 0, at: '' };
    };
    const before = await newest();
    await until('the next of its schedule', async () => (await newest()).n > before.n, 90_000);
    let last = await newest();
    await until(
      'a rest of five seconds while rows are written',
      async () => {
        const seen = last;
        await sleep(5_000);
        last = await newest();
        return seen.n === last.n;
      },
      120_000,
    );
  });
});
