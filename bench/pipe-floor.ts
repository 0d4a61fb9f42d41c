import { pipeline } from 'node:stream/promises';
import pg from 'pg';
import { from as copyFrom, to as copyTo } from 'pg-copy-streams';

export interface PipeFloorOptions {
  readonly sourceUrl: string;
  readonly warehouseUrl: string;
  /** May write checkpoints. */
  readonly superuserUrl: string;
}

/**
 * The floor: one COPY pipe from database to database into an unlogged table, then INSERT … SELECT
 * into a plain table of the same columns and a ledger row, all in one transaction.
 */
export class PipeFloor implements AsyncDisposable {
  readonly #source: pg.Client;
  readonly #warehouse: pg.Client;
  readonly #superuser: pg.Client;

  private constructor([source, warehouse, superuser]: readonly [pg.Client, pg.Client, pg.Client]) {
    this.#source = source;
    this.#warehouse = warehouse;
    this.#superuser = superuser;
  }

  static async open({
    sourceUrl,
    warehouseUrl,
    superuserUrl,
  }: PipeFloorOptions): Promise<PipeFloor> {
    const clients = [sourceUrl, warehouseUrl, superuserUrl].map(
      (connectionString) => new pg.Client({ connectionString }),
    ) as [pg.Client, pg.Client, pg.Client];
    for (const client of clients) {
      client.on('error', () => undefined); // the query that meets it says so
      await client.connect();
    }
    const floor = new PipeFloor(clients);
    await floor.#warehouse.query('CREATE TABLE floor_ledger (batch text PRIMARY KEY, rows bigint)');
    return floor;
  }

  /** Seconds for the rows of a table, from BEGIN to the end of COMMIT. `columns`: of the new table. */
  async measure(table: string, columns: string): Promise<number> {
    const [source, warehouse] = [this.#source, this.#warehouse];
    await warehouse.query(
      `CREATE TABLE floor (${columns}); CREATE UNLOGGED TABLE floor_stage (LIKE floor)`,
    );
    await this.checkpoint();
    const startedAt = performance.now();
    await warehouse.query('BEGIN');
    const rows = source.query(copyTo(`COPY ${table} TO STDOUT`));
    await pipeline(rows, warehouse.query(copyFrom('COPY floor_stage FROM STDIN')));
    const { rowCount } = await warehouse.query('INSERT INTO floor SELECT * FROM floor_stage');
    await warehouse.query('INSERT INTO floor_ledger VALUES ($1, $2)', [table, rowCount]);
    await warehouse.query('COMMIT');
    const seconds = (performance.now() - startedAt) / 1000;
    await warehouse.query('DROP TABLE floor, floor_stage');
    return seconds;
  }

  /** What one run left to be written must not be paid by the next. */
  async checkpoint(): Promise<void> {
    await this.#superuser.query('CHECKPOINT');
  }

  async atSource(sql: string): Promise<void> {
    await this.#source.query(sql);
  }

  /** First column of the first row in the warehouse, as text. */
  ask(sql: string): Promise<string> {
    return askAt(this.#warehouse, sql);
  }

  askSource(sql: string): Promise<string> {
    return askAt(this.#source, sql);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#source.end(), this.#warehouse.end(), this.#superuser.end()]);
  }
}

async function askAt(client: pg.Client, sql: string): Promise<string> {
  const { rows } = await client.query<string[]>({ text: sql, rowMode: 'array' });
  return String(rows[0]?.[0]);
}
