import type { PoolClient } from 'pg';
import type { PostgresConnections } from '../connection.ts';
import { beginReading } from './rows-sql.ts';
import type { Query } from './tables.ts';

/** One transaction on a connection of its own, under the settings that rows are read with. */
export interface ReadSession extends AsyncDisposable {
  readonly client: PoolClient;
  readonly query: Query;
  /** Ends the transaction. Without it the connection is closed: rows may be on their way. */
  finish(): Promise<void>;
}

export async function openSession(
  connections: PostgresConnections,
  signal: AbortSignal,
): Promise<ReadSession> {
  const { client, lease } = await connections.connect(signal);
  let finished = false;
  const session: ReadSession = {
    client,
    query: queryOn(client),
    async finish() {
      await client.query('COMMIT');
      finished = true;
    },
    async [Symbol.asyncDispose]() {
      lease.broken ||= !finished;
      lease.release();
    },
  };
  try {
    await client.query(beginReading);
    return session;
  } catch (error) {
    await session[Symbol.asyncDispose]();
    throw error;
  }
}

export function queryOn(client: PoolClient): Query {
  return async <Row extends Record<string, unknown>>(
    sql: string,
    values: readonly unknown[] = [],
  ) => (await client.query<Row>(sql, [...values])).rows;
}
