import { createReadStream, createWriteStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import pg from 'pg';
import { from as copyFrom, to as copyTo } from 'pg-copy-streams';
import type { TestInstance } from '../test/support/instance.ts';

const chunkBytes = 1024 * 1024;

export interface FloorOptions {
  /** Database of the destination, as the role that Millrace uses. */
  readonly url: string;
  readonly superuserUrl: string;
  /** The typed rows are kept here. */
  readonly file: string;
}

/** The floor beside the warehouse of an instance, in the same database. */
export async function openFloor({ urls, directory }: TestInstance): Promise<Floor> {
  const url = new URL(urls.warehouseUrl);
  const superuser = new URL(url);
  superuser.username = 'postgres';
  const password = await readFile(join(urls.home, 'postgres-superuser-password'), 'utf8');
  superuser.password = password.trim();
  return Floor.open({ url: url.href, superuserUrl: superuser.href, file: join(directory, 'rows') });
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

  /** A table with the rows and the key of a merged one, into which its later rows are merged. */
  async keepMerged(like: string): Promise<void> {
    await this.#client.query(
      `DROP TABLE IF EXISTS floor, floor_ledger;
       CREATE TABLE floor (LIKE ${like} INCLUDING ALL);
       INSERT INTO floor SELECT * FROM ${like};
       CREATE TABLE floor_ledger (run int PRIMARY KEY, rows bigint NOT NULL)`,
    );
  }

  /**
   * Seconds that the kept rows take into the table of `keepMerged`: COPY into a temporary table,
   * one INSERT that takes what is newer, the row of a ledger, COMMIT.
   */
  async measureMerge(run: number, key: string): Promise<number> {
    const client = this.#client;
    const { rows } = await client.query<{ set: string }>(
      `SELECT string_agg(format('%1$I = EXCLUDED.%1$I', attname), ', ') AS set FROM pg_attribute
        WHERE attrelid = 'floor'::regclass AND attnum > 0 AND NOT attisdropped AND attname <> $1`,
      [key],
    );
    await client.query('VACUUM ANALYZE floor');
    await this.checkpoint();
    const startedAt = performance.now();
    await client.query('BEGIN; CREATE TEMP TABLE staged (LIKE floor) ON COMMIT DROP');
    const target = client.query(copyFrom('COPY staged FROM STDIN'));
    await pipeline(createReadStream(this.#file, { highWaterMark: chunkBytes }), target);
    const { rowCount } = await client.query(
      `INSERT INTO floor SELECT * FROM staged ON CONFLICT (${key}) DO UPDATE SET ${rows[0]?.set}
        WHERE EXCLUDED._version > floor._version`,
    );
    await client.query('INSERT INTO floor_ledger VALUES ($1, $2)', [run, rowCount]);
    await client.query('COMMIT');
    return (performance.now() - startedAt) / 1000;
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
