import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { until } from '../../support/until.ts';
import type { JournalWriter } from '../journal.ts';
import { contentOf } from '../oracle/content.ts';
import type { Random } from '../random.ts';

/** Tables of an application in a database of its own: one of new rows, two of rows that change. */
export interface StoreTables {
  /** Rows that were written, each change counted. */
  readonly rowCount: number;
  write(round: StoreRound): Promise<void>;
  /** Tables whose last row of all is not in the warehouse yet. */
  unread(lookUp: (table: string, key: string, value: number) => Promise<boolean>): Promise<number>;
}

export interface StoreRound {
  readonly count: number;
  readonly round: number;
  readonly random: Random;
  readonly newFields: readonly string[];
  readonly isClean?: boolean;
}

type Table = 'visits' | 'items' | 'parts';

export const storeTables = `
CREATE TABLE visits (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, n bigint NOT NULL,
  amount float8 NOT NULL, text text NOT NULL);
CREATE TABLE items (id bigint PRIMARY KEY, n bigint NOT NULL, amount float8 NOT NULL,
  changed_at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE INDEX ON items (changed_at);
CREATE TABLE parts (LIKE items INCLUDING ALL)`;

export const storeSources = (url: string) => `
  store:
    type: postgres
    url: ${url}
    tables: { public.visits: { cursor: id }, public.items: { cursor: changed_at, lag: 0s } }
  depot:
    type: postgres
    url: ${url}
    tables: { public.parts: { cursor: changed_at, lag: 0s } }`;

const keys = 500;
const perWrite = 100;
const sourceOf: Readonly<Record<Table, string>> = {
  visits: 'store',
  items: 'store',
  parts: 'depot',
};

/** The statement answers what it wrote, so that it is noted before anybody can read it. */
const upsert = (table: Table) => `
INSERT INTO ${table} AS t (id, n, amount, changed_at)
  SELECT id, n, amount, clock_timestamp() FROM unnest($1::bigint[], $2::bigint[], $3::float8[])
    AS made (id, n, amount)
  ON CONFLICT (id) DO UPDATE SET n = EXCLUDED.n, amount = EXCLUDED.amount,
    changed_at = clock_timestamp()
  RETURNING to_jsonb(t) AS row`;
const insertVisits = (fields: readonly string[]) => `
INSERT INTO visits AS t (n, amount, text${fields.map((name) => `, ${name}`).join('')})
  SELECT n, amount, 'visit ' || n${fields.map(() => ', n % 7').join('')}
    FROM unnest($1::bigint[], $2::bigint[], $3::float8[]) AS made (id, n, amount)
  RETURNING to_jsonb(t) AS row`;

type Row = Readonly<Record<string, unknown>>;

export function openStoreTables(url: string, journal: JournalWriter): StoreTables {
  const last: Partial<Record<Table, number>> = {};
  let made = 0;

  /** One transaction, again and again until its COMMIT is answered; what is unknown may be there. */
  async function writeRows(table: Table, count: number, given: StoreRound): Promise<void> {
    await until(
      `${table} to be written`,
      async () => {
        const numbers = Array.from({ length: count }, () => (made += 1));
        await inTransaction(url, async (commit) => {
          const sql = table === 'visits' ? insertVisits(given.newFields) : upsert(table);
          const amounts = numbers.map(() => amountOf(given));
          const rows = await commit.query(sql, [pickKeys(count, given.random), numbers, amounts]);
          commit.at(noteRows(journal, table, rows, given.round));
        });
        last[table] = numbers.at(-1) ?? 0;
        return true;
      },
      180_000,
    );
  }

  return {
    get rowCount() {
      return made;
    },
    async write(given) {
      await addColumn(url, given);
      const { count } = given;
      for (const table of ['visits', 'items', 'parts'] as const) {
        for (let done = 0; done < count / 3; done += perWrite) {
          await writeRows(table, Math.min(perWrite, keys), given);
          await sleep(20);
        }
        await writeRows(table, 1, { ...given, isClean: true }); // no destination refuses the last one
      }
    },
    async unread(lookUp) {
      let count = 0;
      for (const [table, n] of Object.entries(last)) {
        const source = sourceOf[table as Table];
        if (!(await lookUp(`${source}.${table}`, 'n', n))) count += 1;
      }
      return count;
    },
  };
}

/** Each only once in one statement. */
function pickKeys(count: number, random: Random): readonly number[] {
  const all = Array.from({ length: keys }, (_, at) => at);
  return random.shuffle(all).slice(0, count);
}

/** Large ones are refused by `archive`, and of `store` by the warehouse. */
function amountOf({ random, isClean }: StoreRound): number {
  return random.below(isClean ? 900 : 1_000) + 0.5;
}

function noteRows(journal: JournalWriter, table: Table, rows: readonly Row[], round: number) {
  const isMerge = table !== 'visits';
  const events = rows.map((row) => ({
    key: String(isMerge ? row['id'] : row['n']),
    content: contentOf(row),
    sha256: '', // only the product's connector writes bytes of it
    ...(isMerge && { version: String(row['n']).padStart(12, '0') }),
  }));
  const request = journal.sent({ source: sourceOf[table], stream: table, round, events });
  return () => journal.answered(request, 'ok');
}

async function addColumn(url: string, { newFields }: StoreRound): Promise<void> {
  const names = newFields.map((name) => `ADD COLUMN IF NOT EXISTS ${name} bigint`);
  if (names.length === 0) return;
  await until('a new column', async () => {
    await inTransaction(url, async (commit) => {
      await commit.query(`ALTER TABLE visits ${names.join(', ')}`, []);
    });
    return true;
  });
}

interface Commit {
  query(sql: string, values: readonly unknown[]): Promise<readonly Row[]>;
  /** What is to be said once COMMIT is answered. */
  at(said: () => void): void;
}

async function inTransaction(url: string, work: (commit: Commit) => Promise<void>): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined); // its server may be stopped meanwhile
  await client.connect();
  let say = () => undefined as void;
  try {
    await client.query('BEGIN');
    await work({
      query: async (sql, values) => {
        const { rows } = await client.query<{ row: Row }>(sql, [...values]);
        return rows.map(({ row }) => row);
      },
      at: (said) => void (say = said),
    });
    await client.query('COMMIT');
    say();
  } finally {
    await client.end().catch(() => undefined);
  }
}
