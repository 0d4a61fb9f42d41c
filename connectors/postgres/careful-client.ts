import type { Duplex } from 'node:stream';
import pg from 'pg';

/** The part of pg's connection where what the server sends begins to be read. */
interface Listening {
  attachListeners(stream: Duplex): void;
}

/**
 * A client that takes an answer which pg cannot read (another service at that port, a way to log
 * in that it does not know) as a fault of the connection: pg throws it out of an event, which
 * would end the process.
 */
export class CarefulClient extends pg.Client {
  constructor(config?: string | pg.ClientConfig) {
    super(config);
    const { connection } = this as unknown as { readonly connection: Listening };
    const attach = connection.attachListeners.bind(connection);
    connection.attachListeners = (stream) => {
      attach(stream);
      destroyOnThrow(stream);
    };
  }
}

function destroyOnThrow(stream: Duplex): void {
  const emit = stream.emit.bind(stream) as (
    event: string | symbol,
    ...values: unknown[]
  ) => boolean;
  stream.emit = (event: string | symbol, ...values: unknown[]) => {
    if (event !== 'data') return emit(event, ...values);
    try {
      return emit(event, ...values);
    } catch (error) {
      stream.destroy(error as Error);
      return true;
    }
  };
}
