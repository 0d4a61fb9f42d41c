import pg from 'pg';
import { keepPace, rest } from './pace.ts';

export interface ChangeOptions {
  readonly url: string;
  readonly changesPerSecond: number;
  /** Milliseconds since 1970. */
  readonly until: number;
  readonly signal: AbortSignal;
}

interface Change {
  /** Of ten changes so many are like this. */
  readonly weight: number;
  readonly sql: string;
}

const changes: readonly Change[] = [
  {
    weight: 6,
    sql: `UPDATE stocks s SET price = round(price * (0.98 + 0.04 * random())::numeric, 2)
      FROM (SELECT symbol, max(date) AS date FROM stocks GROUP BY symbol ORDER BY random() LIMIT 1) last
     WHERE (s.symbol, s.date) = (last.symbol, last.date)`,
  },
  {
    weight: 1,
    sql: `INSERT INTO stocks (symbol, date, price)
      SELECT symbol, max(date) + 1, (array_agg(price ORDER BY date DESC))[1]
        FROM stocks GROUP BY symbol ORDER BY random() LIMIT 1
      ON CONFLICT DO NOTHING`,
  },
  {
    weight: 2,
    sql: `UPDATE cars SET weight_in_lbs = weight_in_lbs + 1
      WHERE id = (SELECT id FROM cars ORDER BY random() LIMIT 1)`,
  },
  {
    weight: 1,
    sql: `UPDATE countries c SET life_expect = life_expect + 0.01
      FROM (SELECT country, year FROM countries ORDER BY random() LIMIT 1) one
     WHERE (c.country, c.year) = (one.country, one.year)`,
  },
];
const drawn = changes.flatMap(({ weight, sql }) => Array.from({ length: weight }, () => sql));
const pauseMs = 1_000;
const connectMs = 5_000;

/** Changes and adds rows, until the time is over; answers how often. A database that is away is waited for. */
export async function changeShop(options: ChangeOptions): Promise<number> {
  const { changesPerSecond: perSecond, until, signal } = options;
  let count = 0;
  while (Date.now() < until && !signal.aborted) {
    const client = new pg.Client({
      connectionString: options.url,
      application_name: 'millrace-demo',
      connectionTimeoutMillis: connectMs,
    });
    client.on('error', () => undefined); // the query that meets it says so
    try {
      await client.connect();
      await keepPace(
        async () => {
          await client.query(drawn[Math.floor(Math.random() * drawn.length)] ?? '');
          count += 1;
        },
        { perSecond, until, signal },
      );
    } catch {
      await rest(pauseMs, signal);
    } finally {
      await client.end().catch(() => undefined);
    }
  }
  return count;
}
