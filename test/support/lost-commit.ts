import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { once } from 'node:events';

/** A way to PostgreSQL on which COMMIT arrives and its answer does not: the connection breaks. */
export interface LossyWay extends AsyncDisposable {
  readonly url: string;
  /** Commits whose answer was lost. */
  lostCommits(): number;
}

const commit = Buffer.from('COMMIT\0');

export async function openLossyWay(url: string): Promise<LossyWay> {
  const target = new URL(url);
  let lost = 0;
  const open = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(Number(target.port), target.hostname);
    let committing = false;
    for (const socket of [client, upstream]) {
      open.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        open.delete(socket);
        (socket === client ? upstream : client).destroy();
      });
    }
    client.on('data', (bytes) => {
      committing ||= bytes.includes(commit);
      upstream.write(bytes);
    });
    upstream.on('data', (bytes) => {
      if (!committing) return client.write(bytes);
      lost += 1; // PostgreSQL answered, so that it is durable
      return client.destroy();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const proxied = new URL(url);
  proxied.port = String((server.address() as AddressInfo).port);
  return {
    url: proxied.toString(),
    lostCommits: () => lost,
    async [Symbol.asyncDispose]() {
      for (const socket of open) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
