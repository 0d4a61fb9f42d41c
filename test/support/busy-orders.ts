import pg from 'pg';

/** Tables of an application: one that is updated, one whose rows have numbers from a sequence. */
export const busyTables = `
CREATE TABLE orders (id bigint PRIMARY KEY, changes int NOT NULL, amount numeric(20,6), state text,
  details jsonb, tags text[], flag boolean, day date, ref uuid,
  updated_at timestamptz NOT NULL DEFAULT now());
CREATE INDEX ON orders (updated_at);
CREATE TABLE visits (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, order_id bigint NOT NULL,
  at timestamptz NOT NULL DEFAULT clock_timestamp())`;

/** What a row is in both databases, as text. */
export const busyColumns = {
  orders: `id::text, changes::text, amount::text, state, details::text, to_jsonb(tags)::text AS tags,
    flag::text, day::text, ref::text, extract(epoch FROM updated_at)::text AS updated_at`,
  visits: 'id::text, order_id::text, extract(epoch FROM at)::text AS at',
} as const;

/** New content of a row, from its own number and `$2`, the number of the change. */
const content = `
  changes = o.changes + 1, amount = nullif((o.id * 7919 + $2::bigint) % 1000003, 0) / 100.0,
  state = CASE WHEN (o.id * 31 + $2::bigint) % 397 = 0 THEN 'held'
               WHEN (o.id + $2::bigint) % 11 <> 0
               THEN E'state\\t' || $2::bigint || E'\\\\n "é" ' || o.id END,
  details = jsonb_build_object('n', $2::bigint, 'list', jsonb_build_array(o.id, NULL, 'ü')),
  tags = CASE WHEN $2::bigint % 3 = 0 THEN array['a', $2::bigint::text, NULL] END,
  flag = nullif(($2::bigint + o.id) % 3, 0) = 1,
  day = date '2020-01-01' + ($2::bigint % 3000)::int, ref = md5(o.id || '.' || $2::bigint)::uuid`;

export interface BusyOrders {
  readonly url: string;
  readonly keys: number;
  /** Updates that are to be made in all. */
  readonly updates: number;
  /** How long what is written at once may take to be committed; some transactions take longer. */
  readonly lagMs: number;
}

export interface BusyCounts {
  updates: number;
  /** Transactions that were held open beyond the lag. */
  held: number;
  prepared: number;
}

export async function createBusyOrders({ url, keys }: BusyOrders): Promise<void> {
  const client = await connect(url);
  await client.query(busyTables);
  await client.query(
    'INSERT INTO orders (id, changes) SELECT n, 0 FROM generate_series(1, $1::int) n',
    [keys],
  );
  await client.end();
}

/**
 * Writers, each with a connection of its own, that update rows in any order until enough is done,
 * and one whose transactions stay open beyond the lag, some of them prepared.
 * @param mayGoOn resolves when so many updates may have been made
 */
export async function writeBusyOrders(
  orders: BusyOrders,
  counts: BusyCounts,
  mayGoOn: (updates: number) => Promise<void>,
): Promise<void> {
  const isDone = () => counts.updates >= orders.updates;
  const work = { orders, counts, mayGoOn, isDone };
  await Promise.all([
    ...[1, 2, 3].map((seed) => writeMany(work, random(seed))),
    ...[4, 5].map((seed) => writeOneByOne(work, random(seed))),
    holdOpen(work, random(6)),
  ]);
}

interface Work {
  readonly orders: BusyOrders;
  readonly counts: BusyCounts;
  readonly mayGoOn: (updates: number) => Promise<void>;
  readonly isDone: () => boolean;
}

/** Many rows a statement, without waiting for those that another one holds. */
async function writeMany({ orders, counts, mayGoOn, isDone }: Work, next: Random): Promise<void> {
  const client = await connect(orders.url);
  while (!isDone()) {
    await mayGoOn(counts.updates);
    const ids = Array.from({ length: 1 + next(80) }, () => 1 + next(orders.keys));
    // Some by the clock, which is later than the start of others that write after it.
    const time = next(3) === 0 ? 'clock_timestamp()' : 'now()';
    await client.query('BEGIN');
    counts.updates += await update(client, { ids, n: next(2 ** 30), time, wait: 'SKIP LOCKED' });
    await visit(client, ids);
    await client.query('COMMIT');
  }
  await client.end();
}

/** Rows that others may hold, in order: who began later may be first, and who began first last. */
async function writeOneByOne(work: Work, next: Random): Promise<void> {
  const { orders, counts, mayGoOn, isDone } = work;
  const client = await connect(orders.url);
  await client.query(`SET lock_timeout = '300ms'`);
  const hot = Math.min(orders.keys, 200);
  while (!isDone()) {
    await mayGoOn(counts.updates);
    const ids = Array.from({ length: 5 }, () => 1 + next(hot)).toSorted((a, b) => a - b);
    try {
      await client.query('BEGIN');
      let done = 0;
      for (const id of new Set(ids)) {
        done += await update(client, { ids: [id], n: next(2 ** 30), time: 'now()', wait: '' });
      }
      await visit(client, ids);
      await client.query('COMMIT');
      counts.updates += done;
    } catch (error) {
      await client.query('ROLLBACK');
      if ((error as { code?: string }).code !== lockNotAvailable) throw error;
    }
  }
  await client.end();
}

const lockNotAvailable = '55P03';

/** Begins, takes its number, and writes much later, under the time at which it began. */
async function holdOpen(work: Work, next: Random): Promise<void> {
  const { orders, counts, isDone } = work;
  const client = await connect(orders.url);
  for (let turn = 0; !isDone(); turn += 1) {
    const ids = Array.from({ length: 4 }, () => 1 + next(Math.min(orders.keys, 200)));
    const change = { ids, n: next(2 ** 30), time: 'now()', wait: '' } as const;
    await client.query('BEGIN');
    await visit(client, ids);
    let done = turn % 2 === 0 ? await update(client, change) : 0;
    await client.query('SELECT pg_sleep($1::float8 / 1000)', [orders.lagMs * 1.3]);
    if (turn % 2 === 1) done += await update(client, change);
    if (turn % 3 === 2) {
      const name = `held_${turn}`;
      await client.query(`PREPARE TRANSACTION '${name}'`);
      await client.query('SELECT pg_sleep($1::float8 / 1000)', [orders.lagMs * 1.3]);
      await client.query(`COMMIT PREPARED '${name}'`);
      counts.prepared += 1;
    } else await client.query('COMMIT');
    counts.updates += done;
    counts.held += 1;
  }
  await client.end();
}

interface Change {
  readonly ids: readonly number[];
  readonly n: number;
  readonly time: 'now()' | 'clock_timestamp()';
  readonly wait: 'SKIP LOCKED' | '';
}

async function update(client: pg.Client, { ids, n, time, wait }: Change): Promise<number> {
  const { rowCount } = await client.query(
    `UPDATE orders o SET ${content}, updated_at = ${time}
      WHERE o.id IN (SELECT id FROM orders WHERE id = ANY($1::bigint[]) ORDER BY id FOR UPDATE ${wait})`,
    [ids, n],
  );
  return rowCount ?? 0;
}

async function visit(client: pg.Client, ids: readonly number[]): Promise<void> {
  await client.query('INSERT INTO visits (order_id) SELECT unnest($1::bigint[])', [ids]);
}

async function connect(connectionString: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  return client;
}

/** A whole number from 0 to below `limit`; the same ones for the same seed. */
type Random = (limit: number) => number;

function random(seed: number): Random {
  let state = seed * 0x9e3779b9;
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  };
}
