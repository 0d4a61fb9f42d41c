import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import type { BodyBudget } from './read-body.ts';
import { toRefusal } from './refusal.ts';

/** A sender who is refused in the middle of a body gets so long to notice. */
const lingerMs = 500;
/** And may send so much more, which is dropped; then nothing is read any more. */
const lingerBytes = 64 * 1024;

/** Hears of what was received in vain. */
type Dropped = Pick<BodyBudget, 'drop'>;

export interface Answer {
  readonly status: number;
  readonly body: unknown;
}

export function respond(
  response: ServerResponse,
  { status, body }: Answer,
  headers: Readonly<Record<string, string>> = {},
): void {
  const text = JSON.stringify(body);
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    ...headers,
  });
  response.end(text);
}

/** Answers what went wrong; the rest of an unread body is thrown away, then the connection ends. */
export function respondError(
  request: IncomingMessage,
  response: ServerResponse,
  {
    error,
    log,
    budget,
  }: { readonly error: unknown; readonly log: Logger; readonly budget: Dropped },
): void {
  if (response.headersSent || response.destroyed) return void request.destroy();
  const refusal = toRefusal(error);
  if (!refusal) log.error({ name: (error as Error).name }, 'request for events failed');
  const answer = refusal
    ? { status: refusal.status, body: refusal.answer }
    : { status: 500, body: internalError };
  const headers = refusal?.headers ?? {};
  if (request.complete) respond(response, answer, headers);
  else respondAndClose(request, response, { answer, headers, budget });
}

interface Refused {
  readonly answer: Answer;
  readonly headers: Readonly<Record<string, string>>;
  readonly budget: Dropped;
}

const internalError = {
  error: {
    kind: 'internal',
    message: 'internal error',
    advice: 'See the log of the server; if it stays, report it.',
  },
};

/**
 * The connection must not be cut while the sender still writes: it would lose the answer. So the
 * answer goes out in full, what still comes is read and dropped for a moment, then all ends.
 */
function respondAndClose(
  request: IncomingMessage,
  response: ServerResponse,
  { answer, headers, budget }: Refused,
): void {
  const text = JSON.stringify(answer.body);
  response.writeHead(answer.status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    connection: 'close',
    ...headers,
  });
  response.write(text);
  const end = () => {
    clearTimeout(timer);
    response.end();
    request.socket.destroy();
  };
  const timer = setTimeout(end, lingerMs);
  let dropped = 0;
  request.once('end', end).once('error', end);
  request.on('data', ({ length }: Buffer) => {
    dropped += length;
    budget.drop(length); // hundreds of connections that linger at once are tens of MiB
    if (dropped > lingerBytes) request.pause();
  });
  request.resume();
}
