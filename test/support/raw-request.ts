import { connect, type Socket } from 'node:net';

/** A request byte by byte, as no well-behaved client would send it. */
export class RawRequest implements Disposable {
  readonly #socket: Socket;
  #answer = '';
  #closed = false;
  #goOn: () => void = () => undefined;

  constructor(url: string) {
    const { hostname, port } = new URL(url);
    this.#socket = connect(Number(port), hostname);
    this.#socket.on('data', (bytes) => (this.#answer += bytes.toString('latin1')));
    this.#socket.on('error', () => undefined);
    this.#socket.on('drain', () => this.#goOn());
    this.#socket.on('close', () => {
      this.#closed = true;
      this.#goOn();
    });
  }

  /** Sends; waits while the other side takes nothing more. False: the connection has ended. */
  async send(bytes: string | Uint8Array): Promise<boolean> {
    if (this.#closed || this.#socket.destroyed) return false;
    if (!this.#socket.write(bytes)) {
      await new Promise<void>((resolve) => {
        this.#goOn = resolve;
      });
    }
    return !this.#closed;
  }

  /** Status of the answer so far; null before there is one. */
  get status(): number | null {
    const found = /^HTTP\/1\.1 (\d{3})/.exec(this.#answer)?.[1];
    return found === undefined ? null : Number(found);
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }
}
