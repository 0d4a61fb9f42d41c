import type { IncomingMessage } from 'node:http';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { PipelineError } from '../../core/errors.ts';
import { collectGarbage } from './collect-garbage.ts';
import { refuse, type Refusal } from './refusal.ts';

const inflate = promisify(gunzip);
/** So much may be dead and not yet freed. */
const maxDroppedBytes = 16 * 2 ** 20;

/** Bounds what all requests together hold in memory. */
export class BodyBudget {
  readonly #maxBytes: number;
  #bytes = 0;
  #dropped = 0;
  #inflating: Promise<unknown> = Promise.resolve();

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** @throws PipelineError `intake-busy` */
  take(bytes: number): void {
    if (this.#bytes + bytes > this.#maxBytes) {
      this.drop(bytes);
      throw new PipelineError('intake-busy', 'too many requests are being received');
    }
    this.#bytes += bytes;
  }

  release(bytes: number): void {
    this.#bytes -= bytes;
    this.drop(bytes);
  }

  /** One at a time: a body that inflates without end must not do so many times over. */
  async inflate(body: Buffer, maxBytes: number): Promise<Buffer> {
    const turn = this.#inflating.then(() => inflate(body, { maxOutputLength: maxBytes }));
    // It was put together from pieces, which are dead now; or it was all in vain.
    this.#inflating = turn.then(
      ({ length }) => this.drop(length),
      () => this.drop(maxBytes),
    );
    return turn;
  }

  /** So much was received and is needed no more. */
  drop(bytes: number): void {
    this.#dropped += bytes;
    if (this.#dropped < maxDroppedBytes) return;
    this.#dropped = 0;
    collectGarbage();
  }
}

/** The body of one request while it is worked on; give it back with `using`. */
export class HeldBody implements Disposable {
  readonly #budget: BodyBudget;
  #held = 0;
  bytes: Buffer = Buffer.alloc(0);

  constructor(budget: BodyBudget) {
    this.#budget = budget;
  }

  /**
   * Receives a body, inflated where it is packed.
   * @throws Refusal 413 beyond the limit, 400 where it is not sound gzip
   */
  async receive(request: IncomingMessage, maxBytes: number): Promise<void> {
    if (Number(request.headers['content-length'] ?? 0) > maxBytes) throw tooLarge(maxBytes);
    const body = await this.#collect(request, maxBytes);
    if (request.headers['content-encoding'] === undefined) this.bytes = body;
    else if (isGzip(request)) this.bytes = await this.#inflate(body, maxBytes);
    else this.bytes = body;
  }

  [Symbol.dispose](): void {
    this.#budget.release(this.#held);
    this.#held = 0;
  }

  #hold(bytes: number): void {
    this.#budget.take(bytes);
    this.#held += bytes;
  }

  #collect(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
    const chunks: Buffer[] = [];
    let size = 0;
    return new Promise((resolve, reject) => {
      const onData = (chunk: Buffer) => {
        size += chunk.length;
        try {
          if (size > maxBytes) throw tooLarge(maxBytes);
          this.#hold(chunk.length);
          chunks.push(chunk);
        } catch (error) {
          request.off('data', onData);
          request.pause();
          reject(error);
        }
      };
      request.on('data', onData);
      request.once('end', () => resolve(join(chunks)));
      request.once('close', () => {
        if (!request.readableEnded) reject(refuse(400, 'the request broke off', 'Send it again.'));
      });
    });
  }

  async #inflate(body: Buffer, maxBytes: number): Promise<Buffer> {
    try {
      const inflated = await this.#budget.inflate(body, maxBytes);
      this.#hold(inflated.length);
      return inflated;
    } catch (error) {
      const { code = '' } = error as { code?: string };
      if (code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge(maxBytes);
      if (!code.startsWith('Z_')) throw error;
      throw refuse(
        400,
        'the body is not sound gzip',
        'Send it whole, or without Content-Encoding.',
      );
    }
  }
}

export function isGzip({ headers }: IncomingMessage): boolean {
  return /^(x-)?gzip$/i.test(headers['content-encoding'] ?? '');
}

function join(chunks: readonly Buffer[]): Buffer {
  const [only] = chunks;
  return chunks.length === 1 && only ? only : Buffer.concat(chunks);
}

function tooLarge(maxBytes: number): Refusal {
  const limit = maxBytes >= 2 ** 20 ? `${maxBytes / 2 ** 20} MiB` : `${maxBytes} bytes`;
  return refuse(413, `the body is larger than ${limit}`, 'Send fewer events at once.');
}
