import pg from 'pg';
import { toCatalogError } from './pg-errors.ts';

export interface QueryResult<Row> {
  readonly rows: Row[];
  readonly rowCount: number;
}

export interface Queryable {
  query<Row = Record<string, unknown>>(
    sql: string,
    values?: readonly unknown[],
  ): Promise<QueryResult<Row>>;
}

/** Statements between BEGIN and COMMIT. */
export type Transaction = Queryable;

/** Millrace's own database. */
export interface Catalog extends Queryable, AsyncDisposable {
  /**
   * Runs `work` in one transaction (read committed): COMMIT when it resolves, ROLLBACK when it
   * throws. Deadlocks and serialization failures are tried again, up to three times.
   * @throws PipelineError `catalog-unavailable`
   */
  transaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T>;
}

export interface CatalogOptions {
  readonly url: string;
  readonly maxConnections?: number;
  readonly applicationName?: string;
  /** Ends transactions of a process that stands still: it would hold its locks for ever. */
  readonly idleInTransactionMs?: number;
  /** A statement ends after so long, here and in the database. */
  readonly statementTimeoutMs?: number;
}

const transient = new Set(['40001', '40P01']);
const maxTries = 4;
const defaultIdleMs = 60_000;
const answerMs = 2_000;

// bigint columns are counts that fit a double; timestamps stay text.
const types = new pg.TypeOverrides();
types.setTypeParser(pg.types.builtins.INT8, Number);
types.setTypeParser(pg.types.builtins.TIMESTAMPTZ, (text: string) => new Date(text).toISOString());

export function openCatalog(options: CatalogOptions): Catalog {
  const pool = new pg.Pool({
    connectionString: options.url,
    max: options.maxConnections ?? 5,
    application_name: options.applicationName ?? 'millrace',
    connectionTimeoutMillis: 10_000,
    keepAlive: true,
    types,
    ...(options.statementTimeoutMs !== undefined && {
      statement_timeout: options.statementTimeoutMs,
      // Later, so that the database has said first whether it did it.
      query_timeout: options.statementTimeoutMs + answerMs,
    }),
  });
  // An idle connection that breaks is not a crash: the next query opens a new one.
  pool.on('error', () => undefined);
  const idleMs = Math.round(options.idleInTransactionMs ?? defaultIdleMs);
  const begin = `BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL idle_in_transaction_session_timeout = ${idleMs}`;
  return {
    query: (sql, values) => runQuery(pool, sql, values),
    transaction: (work) => runTransaction(pool, begin, work),
    [Symbol.asyncDispose]: () => pool.end(),
  };
}

async function runQuery<Row>(
  on: pg.Pool | pg.PoolClient,
  sql: string,
  values: readonly unknown[] = [],
): Promise<QueryResult<Row>> {
  try {
    const { rows, rowCount } = await on.query(sql, [...values]);
    return { rows: rows as Row[], rowCount: rowCount ?? 0 };
  } catch (error) {
    throw toCatalogError(error);
  }
}

async function runTransaction<T>(
  pool: pg.Pool,
  begin: string,
  work: (tx: Transaction) => Promise<T>,
): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await runOnce(pool, begin, work);
    } catch (error) {
      const { code } = ((error as Error).cause ?? error) as { code?: string };
      if (tries >= maxTries || !transient.has(code ?? '')) throw error;
    }
  }
}

async function runOnce<T>(
  pool: pg.Pool,
  begin: string,
  work: (tx: Transaction) => Promise<T>,
): Promise<T> {
  const client = await connect(pool);
  let broken = false;
  const onError = () => void (broken = true);
  client.on('error', onError);
  try {
    await runQuery(client, begin);
    const result = await work({ query: (sql, values) => runQuery(client, sql, values) });
    await runQuery(client, 'COMMIT');
    return result;
  } catch (error) {
    await client.query('ROLLBACK').catch(() => void (broken = true));
    throw error;
  } finally {
    client.off('error', onError);
    client.release(broken);
  }
}

async function connect(pool: pg.Pool): Promise<pg.PoolClient> {
  try {
    return await pool.connect();
  } catch (error) {
    throw toCatalogError(error);
  }
}
