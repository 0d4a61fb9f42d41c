import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** A way to a TCP server that a test can close: the server itself stays up for everybody else. */
export interface TcpGate extends AsyncDisposable {
  readonly port: number;
  /** Whoever comes is let through. */
  open(): void;
  /** Breaks all connections and refuses new ones. */
  shut(): void;
  /** Connections stay and are accepted, but not a byte goes through any more, either way. */
  mute(): void;
}

export async function startGate(targetPort: number): Promise<TcpGate> {
  let state: 'open' | 'shut' | 'mute' = 'open';
  const sockets = new Set<Socket>();
  const keep = (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
  };
  const pass = (from: Socket, to: Socket) => {
    from.on('data', (bytes) => void (state === 'open' && to.write(bytes)));
    from.on('close', () => to.destroy());
  };
  const server = createServer((client) => {
    keep(client);
    if (state === 'shut') client.destroy();
    if (state !== 'open') return;
    const target = connect(targetPort, '127.0.0.1');
    keep(target);
    pass(client, target);
    pass(target, client);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const breakAll = () => sockets.forEach((socket) => socket.destroy());
  return {
    port: (server.address() as AddressInfo).port,
    open() {
      if (state === 'mute') breakAll(); // what was swallowed cannot be made up for
      state = 'open';
    },
    shut() {
      state = 'shut';
      breakAll();
    },
    mute() {
      state = 'mute';
    },
    async [Symbol.asyncDispose]() {
      breakAll();
      server.close();
      await once(server, 'close');
    },
  };
}
