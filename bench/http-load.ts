import { connect, type Socket } from 'node:net';

export interface HttpLoad {
  readonly port: number;
  readonly path: string;
  readonly token: string;
  readonly contentType: string;
  readonly connections: number;
  /** In turns; each connection sends its next one when the last was answered. */
  readonly bodies: readonly Buffer[];
}

export interface HttpLoadResult {
  readonly requests: number;
  readonly seconds: number;
}

/**
 * Sends until there is no body left. On bare sockets: a client that costs more than the server
 * would be what is measured.
 * @throws for any answer but 202
 */
export async function sendLoad(load: HttpLoad): Promise<HttpLoadResult> {
  const left = load.bodies.values();
  const startedAt = performance.now();
  const counts = await Promise.all(
    Array.from({ length: load.connections }, () => sendAll(load, left)),
  );
  const seconds = (performance.now() - startedAt) / 1000;
  return { requests: counts.reduce((sum, count) => sum + count, 0), seconds };
}

async function sendAll(load: HttpLoad, left: Iterator<Buffer>): Promise<number> {
  const socket = connect({ port: load.port, host: '127.0.0.1', noDelay: true });
  const answers = readAnswers(socket);
  const head =
    `POST ${load.path} HTTP/1.1\r\nhost: 127.0.0.1:${load.port}\r\n` +
    `authorization: Bearer ${load.token}\r\ncontent-type: ${load.contentType}\r\n`;
  let requests = 0;
  try {
    for (let next = left.next(); !next.done; next = left.next()) {
      const body = next.value;
      socket.cork();
      socket.write(`${head}content-length: ${body.length}\r\n\r\n`, 'latin1');
      socket.write(body);
      socket.uncork();
      const { value: status } = await answers.next();
      if (status !== 202) throw new Error(`the server answered ${status ?? 'nothing'}`);
      requests += 1;
    }
    return requests;
  } finally {
    socket.destroy();
  }
}

/** Status codes of the answers, one after the other. Their bodies have a length. */
async function* readAnswers(socket: Socket): AsyncGenerator<number, undefined> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of socket) {
    rest = rest.length === 0 ? (chunk as Buffer) : Buffer.concat([rest, chunk as Buffer]);
    for (let answer = cutAnswer(rest); answer; answer = cutAnswer(rest)) {
      rest = rest.subarray(answer.length);
      yield answer.status;
    }
  }
  return undefined;
}

function cutAnswer(bytes: Buffer): { status: number; length: number } | null {
  const end = bytes.indexOf('\r\n\r\n');
  if (end < 0) return null;
  const head = bytes.toString('latin1', 0, end);
  const body = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0);
  const length = end + 4 + body;
  return bytes.length < length ? null : { status: Number(head.slice(9, 12)), length };
}
