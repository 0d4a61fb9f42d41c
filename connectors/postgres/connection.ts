import pg from 'pg';
import { CarefulClient } from './careful-client.ts';
import { toConnectError, toDestinationError, type Side } from './errors.ts';
import { Pulse } from './pulse.ts';
import { describeUrl } from './settings.ts';

const types = new pg.TypeOverrides();
types.setTypeParser(pg.types.builtins.INT8, Number);
types.setTypeParser(pg.types.builtins.TIMESTAMPTZ, (text: string) => new Date(text).toISOString());

const connectTimeoutMs = 10_000;
/** A peer that vanished without a word is found out after so long. */
const keepAliveMs = 10_000;

export interface ConnectionWords {
  readonly applicationName: string;
  /** Faults of connecting. Default: those of a warehouse. */
  readonly side?: Side;
  /** Faults of statements. */
  toError(error: unknown, place: string): unknown;
}

const ofWarehouse: ConnectionWords = { applicationName: 'millrace', toError: toDestinationError };

/** Connections to one database. Every fault comes out as a PipelineError without values. */
export class PostgresConnections implements AsyncDisposable {
  readonly place: string;
  readonly #pool: pg.Pool;
  readonly #pulse: Pulse;
  readonly #words: ConnectionWords;

  constructor(url: string, maxConnections: number, words = ofWarehouse) {
    this.place = describeUrl(url);
    this.#words = words;
    this.#pulse = new Pulse(url);
    this.#pool = new pg.Pool({
      Client: CarefulClient,
      connectionString: url,
      max: maxConnections,
      connectionTimeoutMillis: connectTimeoutMs,
      application_name: words.applicationName,
      keepAlive: true,
      keepAliveInitialDelayMillis: keepAliveMs,
      types,
    });
    this.#pool.on('error', () => undefined); // the next query opens another connection
  }

  async connect(signal: AbortSignal): Promise<LeasedClient> {
    signal.throwIfAborted();
    try {
      const client = await this.#pool.connect();
      return { client, lease: leaseOf(client, signal, this.#pulse) };
    } catch (error) {
      throw toConnectError(error, this.place, this.#words.side);
    }
  }

  async query<Row extends pg.QueryResultRow>(
    sql: string,
    values: unknown[],
    signal: AbortSignal,
  ): Promise<Row[]> {
    return this.run(signal, async (client) => (await client.query<Row>(sql, values)).rows);
  }

  /** Runs work on one connection; an abort ends the connection, and with it what runs there. */
  async run<T>(signal: AbortSignal, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    const { client, lease } = await this.connect(signal);
    try {
      return await work(client);
    } catch (error) {
      lease.broken = true;
      throw signal.aborted ? signal.reason : this.#words.toError(error, this.place);
    } finally {
      lease.release();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool.end();
  }
}

export interface Lease {
  broken: boolean;
  release(): void;
}

export interface LeasedClient {
  readonly client: pg.PoolClient;
  readonly lease: Lease;
}

/**
 * Gives a connection back once: to the pool, or to nobody where it broke, was aborted or waits for
 * a server that fell silent. What runs on it then fails.
 */
function leaseOf(client: pg.PoolClient, signal: AbortSignal, pulse: Pulse): Lease {
  const lease = { broken: false, release };
  let released = false;
  const onError = () => void (lease.broken = true);
  const giveUp = () => {
    lease.broken = true;
    release();
  };
  const unwatch = pulse.watch(giveUp);
  client.on('error', onError);
  signal.addEventListener('abort', giveUp, { once: true });
  function release() {
    if (released) return;
    released = true;
    unwatch();
    signal.removeEventListener('abort', giveUp);
    client.release(lease.broken);
    // Errors of a connection that is going down must not become uncaught exceptions.
    if (!lease.broken) client.off('error', onError);
  }
  return lease;
}
