import pg from 'pg';
import { queryAt } from './postgres-server.ts';

/** Rows of a whole table; each generation is as large as no other. Some value fits no column. */
export const goodRows = (generation: number) => 1_500 + generation;

export async function createPrices(url: string): Promise<void> {
  await queryAt(url, 'CREATE TABLE prices (sku int, generation int, price numeric, note text)');
}

/** The whole table at once, in one transaction. */
export async function writeGeneration(url: string, generation: number): Promise<void> {
  await queryAt(
    url,
    `BEGIN; DELETE FROM prices;
     INSERT INTO prices SELECT n, ${generation}, n * 0.01, repeat('note ', 20)
       FROM generate_series(1, ${goodRows(generation)}) n;
     INSERT INTO prices VALUES (0, ${generation}, 'NaN', 'fits no column');
     COMMIT`,
  );
}

export interface SeenGeneration {
  readonly first: number | null;
  readonly last: number | null;
  readonly rows: number;
}

/** Looks at a table all the time. */
export class GenerationReader {
  readonly #client: pg.Client;
  readonly #reading: Promise<void>;
  #stopped = false;
  /** What it saw that was no whole generation, or an older one than before. */
  readonly wrong: SeenGeneration[] = [];
  looks = 0;
  newest = 0;

  private constructor(client: pg.Client) {
    this.#client = client;
    this.#reading = this.#read();
  }

  /** @param url of the warehouse, which has the table */
  static async start(url: string | undefined): Promise<GenerationReader> {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    return new GenerationReader(client);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#reading;
    await this.#client.end();
  }

  async #read(): Promise<void> {
    while (!this.#stopped) {
      const { rows } = await this.#client.query<SeenGeneration>(
        `SELECT min(generation)::int AS first, max(generation)::int AS last, count(*)::int AS rows
           FROM shop.prices`,
      );
      for (const seen of rows) this.#judge(seen);
      await this.#client.query('SELECT pg_sleep(0.01)');
    }
  }

  #judge(seen: SeenGeneration): void {
    const { first, last, rows } = seen;
    this.looks += 1;
    const isWhole = first !== null && first === last && rows === goodRows(first);
    if (!isWhole || first < this.newest) this.wrong.push(seen);
    this.newest = Math.max(this.newest, first ?? 0);
  }
}
