import { createReadStream, createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import pg from 'pg';
import { from as copyFrom, to as copyTo } from 'pg-copy-streams';

const chunkBytes = 1024 * 1024;

export interface FloorOptions {
  /** Database of the destination, as the role that Millrace uses. */
  readonly url: string;
  readonly superuserUrl: string;
  /** The typed rows are kept here. */
  readonly file: string;
}

/** The floor: rows that are typed already, from a file, straight into a plain table by COPY. */
export class Floor implements AsyncDisposable {
  readonly #client: pg.Client;
  readonly #superuser: pg.Client;
  readonly #file: string;

  private constructor(client: pg.Client, superuser: pg.Client, file: string) {
    this.#client = client;
    this.#superuser = superuser;
    this.#file = file;
  }

  static async open({ url, superuserUrl, file }: FloorOptions): Promise<Floor> {
    const [client, superuser] = [url, superuserUrl].map(
      (connectionString) => new pg.Client({ connectionString }),
    ) as [pg.Client, pg.Client];
    for (const each of [client, superuser]) {
      each.on('error', () => undefined); // the query that meets it says so
      await each.connect();
    }
    return new Floor(client, superuser, file);
  }

  /** Writes the rows of a loaded table, all columns, as the file that the floor loads. */
  async keepRows(table: string): Promise<void> {
    const rows = this.#client.query(copyTo(`COPY ${table} TO STDOUT`));
    await pipeline(rows, createWriteStream(this.#file, { highWaterMark: chunkBytes }));
  }

  /** Seconds that COPY takes, with COMMIT, into a new empty table of the same columns. */
  async measure(like: string): Promise<number> {
    await this.#client.query(`CREATE TABLE floor (LIKE ${like} INCLUDING DEFAULTS)`);
    await this.checkpoint();
    const startedAt = performance.now();
    const target = this.#client.query(copyFrom('COPY floor FROM STDIN'));
    await pipeline(createReadStream(this.#file, { highWaterMark: chunkBytes }), target);
    const seconds = (performance.now() - startedAt) / 1000;
    await this.#client.query('DROP TABLE floor');
    return seconds;
  }

  /** What one run left to be written must not be paid by the next. */
  async checkpoint(): Promise<void> {
    await this.#superuser.query('CHECKPOINT');
  }

  /** First column of the first row, as text. */
  async ask(sql: string): Promise<string> {
    const { rows } = await this.#client.query<string[]>({ text: sql, rowMode: 'array' });
    return String(rows[0]?.[0]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client.end();
    await this.#superuser.end();
  }
}
