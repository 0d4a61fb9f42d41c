import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { Channel, plainShape, type Shape } from './channel.ts';
import { PostgresTags } from './postgres-tags.ts';

/** A way to a server on which a test may do harm; the server itself stays up for everybody else. */
export interface FaultProxy extends AsyncDisposable {
  readonly port: number;
  /** The same address, by way of the proxy. */
  urlOf(url: string): string;
  /** Whoever comes is let through. */
  open(): void;
  /** Breaks all connections and refuses new ones. */
  shut(): void;
  /** Connections stay and are accepted, but nothing goes through any more, either way, not even an end. */
  mute(): void;
  /** Breaks all connections with a reset; new ones are let through. */
  reset(): void;
  /** From now on, for connections that stand too; what is not named is plain. */
  shape(shape: Partial<Shape>): void;
  /**
   * Cuts a connection when its PostgreSQL server says that such a command is complete: it is done,
   * and its client does not hear of it. So many times, by default for ever.
   */
  cutAnswers(tag: 'COMMIT' | RegExp, times?: number): void;
  /** Answers that were cut. */
  cutCount(): number;
  connectionCount(): number;
  /** No harm any more. */
  heal(): void;
}

export interface FaultProxyOptions {
  readonly host?: string;
  /** Of the proxy itself; by default a free one. */
  readonly ownPort?: number;
  /** From 0 to 1, for jitter. */
  readonly random?: () => number;
}

/** @param targetPort looked up for each connection where it is a function */
export async function startFaultProxy(
  targetPort: number | (() => number),
  { host = '127.0.0.1', ownPort = 0, random = Math.random }: FaultProxyOptions = {},
): Promise<FaultProxy> {
  const proxy = new RunningProxy(() => {
    const port = typeof targetPort === 'number' ? targetPort : targetPort();
    return connect({ port, host, allowHalfOpen: true });
  }, random);
  await proxy.listen(ownPort);
  return proxy;
}

/** To the PostgreSQL server that a url names. */
export function startProxyFor(url: string, options?: FaultProxyOptions): Promise<FaultProxy> {
  const { hostname, port } = new URL(url);
  return startFaultProxy(Number(port), { host: hostname, ...options });
}

class RunningProxy implements FaultProxy {
  readonly #reach: () => Socket;
  readonly #random: () => number;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #state: 'open' | 'shut' | 'mute' = 'open';
  #shape = plainShape;
  #cuts: { readonly tag: RegExp; times: number } | null = null;
  #cutCount = 0;

  constructor(reach: () => Socket, random: () => number) {
    this.#reach = reach;
    this.#random = random;
    this.#server = createServer({ allowHalfOpen: true }, (client) => this.#accept(client));
  }

  async listen(port: number): Promise<void> {
    this.#server.listen(port, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  urlOf(url: string): string {
    const own = new URL(url);
    own.hostname = '127.0.0.1';
    own.port = String(this.port);
    return own.toString();
  }

  open(): void {
    if (this.#state === 'mute') this.#breakAll(); // what was swallowed cannot be made up for
    this.#state = 'open';
  }

  shut(): void {
    this.#state = 'shut';
    this.#breakAll();
  }

  mute(): void {
    this.#state = 'mute';
  }

  reset(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  shape(shape: Partial<Shape>): void {
    this.#shape = { ...plainShape, ...shape };
  }

  cutAnswers(tag: 'COMMIT' | RegExp, times = Number.POSITIVE_INFINITY): void {
    this.#cuts = { tag: tag === 'COMMIT' ? /^COMMIT$/ : tag, times };
  }

  cutCount(): number {
    return this.#cutCount;
  }

  connectionCount(): number {
    return this.#sockets.size / 2;
  }

  heal(): void {
    this.open();
    this.#shape = plainShape;
    this.#cuts = null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#breakAll();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #accept(client: Socket): void {
    if (this.#state === 'shut') return void client.destroy();
    const target = this.#reach();
    const tags = new PostgresTags();
    const cut = () => {
      client.destroy();
      target.destroy();
    };
    for (const socket of [client, target]) this.#keep(socket, cut);
    const rules = {
      shape: () => this.#shape,
      isMuted: () => this.#state === 'mute',
      random: this.#random,
      cut,
    };
    const noteClient = (bytes: Buffer) => {
      tags.noteClient(bytes);
      return true;
    };
    new Channel(client, target, { ...rules, pass: noteClient });
    new Channel(target, client, { ...rules, pass: (bytes) => this.#passAnswer(tags, bytes) });
  }

  /** A connection that breaks, breaks on its other side too; one that ends, ends in its order. */
  #keep(socket: Socket, cut: () => void): void {
    this.#sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('error', () => void (this.#state !== 'mute' && cut()));
    socket.on('close', () => this.#sockets.delete(socket));
  }

  #passAnswer(tags: PostgresTags, bytes: Buffer): boolean {
    const done = tags.readServer(bytes);
    if (!this.#cuts || this.#cuts.times < 1) return true;
    if (!done.some((tag) => this.#cuts?.tag.test(tag))) return true;
    this.#cuts.times -= 1;
    this.#cutCount += 1;
    return false;
  }

  #breakAll(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}
