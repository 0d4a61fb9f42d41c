import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { EventsAnswer } from '../../server/contract/events.ts';
import { connect, type Api } from '../api.ts';
import { exitCode, VerbEnd } from '../exit-codes.ts';
import { lineBatches } from '../line-batches.ts';
import { printJson, say } from '../print.ts';
import type { JsonFlag } from './flags.ts';

export interface SendFlags extends JsonFlag {
  readonly type?: string;
  readonly key?: string;
}

interface Counts {
  accepted: number;
  rejected: number;
  /** Accepted, but they will wait in review. */
  faulty: number;
}

const patienceMs = 300_000;
const longestPauseMs = 10_000;
/** Rejections of a batch that are said one by one. */
const shownRejections = 5;

/**
 * Posts lines in batches, each under a key of its own: whatever happens to an answer, sending the
 * batch again loads it once.
 */
export async function runEventsSend(
  { source, file }: { readonly source: string; readonly file: string },
  flags: SendFlags,
): Promise<number> {
  refuseUnprintable(flags);
  const api = await connect();
  const key = flags.key ?? randomUUID();
  const input = file === '-' ? process.stdin : await openFile(file);
  const counts: Counts = { accepted: 0, rejected: 0, faulty: 0 };
  let sent = 0;
  for await (const lines of lineBatches(input)) {
    const headers = {
      'content-type': 'application/x-ndjson',
      'idempotency-key': toHeader(`${key}/${sent}`),
      ...(flags.type !== undefined && { 'x-event-type': toHeader(flags.type) }),
    };
    const answer = await post(api, { source, lines, headers });
    sayRejections(answer);
    add(counts, answer);
    sent += 1;
  }
  const { accepted, rejected, faulty } = counts;
  if (flags.json) printJson({ source, key, ...counts });
  else
    say(
      `${accepted} events accepted (${faulty} of them will wait in review), ${rejected} rejected`,
    );
  return rejected > 0 ? exitCode.failure : exitCode.ok;
}

async function openFile(file: string): Promise<Readable> {
  const stream = createReadStream(file);
  try {
    await once(stream, 'ready');
    return stream;
  } catch (error) {
    const { code = 'unknown' } = error as NodeJS.ErrnoException;
    throw new VerbEnd(exitCode.usage, `the file ${file} cannot be read (${code})`);
  }
}

function refuseUnprintable(flags: SendFlags): void {
  for (const name of ['type', 'key'] as const) {
    if (/\p{Cc}/u.test(flags[name] ?? '')) {
      throw new VerbEnd(exitCode.usage, `--${name} takes text without control characters`);
    }
  }
}

/** Headers are bytes: any text goes as UTF-8. */
function toHeader(text: string): string {
  return Buffer.from(text).toString('latin1');
}

function add(counts: Counts, { accepted, rejected, events }: EventsAnswer): void {
  counts.accepted += accepted;
  counts.rejected += rejected;
  for (const event of events) {
    if (event.status === 'accepted' && event.failure !== undefined) counts.faulty += 1;
  }
}

function sayRejections({ events }: EventsAnswer): void {
  const rejected = events.filter((event) => event.status === 'rejected');
  for (const { kind, message } of rejected.slice(0, shownRejections)) {
    say(`rejected (${kind}): ${message}`);
  }
}

interface Post {
  readonly source: string;
  readonly lines: Uint8Array<ArrayBuffer>;
  readonly headers: Readonly<Record<string, string>>;
}

/** Until it is answered: a lost answer, 429 and 503 mean again, after a pause. */
async function post(api: Api, request: Post): Promise<EventsAnswer> {
  const end = Date.now() + patienceMs;
  for (let pauseMs = 200; ; pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
    const reply = await api.postEvents(request.source, request).catch(() => null);
    if (reply && !isTemporary(reply.status)) return readAnswer(reply);
    if (Date.now() + pauseMs > end) {
      throw new VerbEnd(exitCode.cannotConnect, 'the server takes nothing in: see "status"');
    }
    const wanted = Number(reply?.headers.get('retry-after') ?? 0) * 1000;
    await sleep(Math.max(pauseMs, Math.min(wanted, longestPauseMs)));
  }
}

function isTemporary(status: number): boolean {
  return status === 429 || status === 502 || status === 503 || status === 504;
}

async function readAnswer(reply: Response): Promise<EventsAnswer> {
  const answer = (await reply.json()) as EventsAnswer & { error?: { message: string } };
  if (answer.error === undefined) return answer;
  throw new VerbEnd(exitCode.failure, answer.error.message);
}
