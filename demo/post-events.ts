import { PipelineError } from '../core/errors.ts';
import { DemoEvents } from './events.ts';
import { keepPace, rest } from './pace.ts';

export interface EventsTarget {
  /** Where events are posted to. */
  readonly url: string;
  readonly token: string;
}

export interface PostOptions extends EventsTarget {
  /** Keeps the ids of two runs apart. */
  readonly run: string;
  readonly eventsPerSecond: number;
  /** Milliseconds since 1970. */
  readonly until: number;
  /** No more than these. */
  readonly mostEvents?: number;
  readonly signal: AbortSignal;
  /** How long one request is repeated. */
  readonly patienceMs: number;
  readonly onPosted?: (posted: Posted) => void;
}

export interface Posted {
  readonly posted: number;
  /** Of these. */
  readonly odd: number;
}

const requestsPerSecond = 10;
const answerMs = 10_000;
const pauseMs = 300;
const longestPauseMs = 5_000;

/**
 * Posts events as devices and applications would, until the time is over. They go the way of all
 * others: a server that is busy, restarting or away is asked again, under the same ids.
 * @throws PipelineError `source-unavailable` once the patience is at its end
 */
export async function postEvents(options: PostOptions): Promise<Posted> {
  const { run, eventsPerSecond, until, mostEvents = Number.POSITIVE_INFINITY, onPosted } = options;
  const enough = new AbortController();
  const signal = AbortSignal.any([options.signal, enough.signal]);
  const events = new DemoEvents(run);
  const perRequest = Math.max(1, Math.round(eventsPerSecond / requestsPerSecond));
  let counts: Posted = { posted: 0, odd: 0 };
  const step = async () => {
    const batch = Array.from({ length: perRequest }, () => events.next());
    if (!(await send(options, batch.map(({ line }) => line).join('\n')))) return;
    const odd = counts.odd + batch.filter((event) => event.odd).length;
    counts = { posted: counts.posted + batch.length, odd };
    onPosted?.(counts);
    if (counts.posted >= mostEvents) enough.abort();
  };
  await keepPace(step, { perSecond: eventsPerSecond / perRequest, until, signal });
  return counts;
}

/** False where it was stopped before an answer came. */
async function send(options: PostOptions, body: string): Promise<boolean> {
  const { signal, patienceMs } = options;
  const deadline = Date.now() + patienceMs;
  for (;;) {
    const answer = await post(options, body);
    if (answer && isTaken(answer)) return true;
    if (signal.aborted) return false;
    if (Date.now() > deadline) throw refused(answer);
    if (!(await rest(pauseOf(answer), signal))) return false;
  }
}

async function post(
  { url, token, signal }: PostOptions,
  body: string,
): Promise<Response | undefined> {
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/x-ndjson' },
      body,
      signal: AbortSignal.any([signal, AbortSignal.timeout(answerMs)]),
    });
    await response.arrayBuffer();
    return response;
  } catch {
    return undefined; // away, or the answer is lost: whether it was taken is not known
  }
}

/** 400: nothing in it could be read; it is kept for review. */
function isTaken({ ok, status }: Response): boolean {
  return ok || status === 400;
}

function pauseOf(answer: Response | undefined): number {
  const seconds = Number(answer?.headers.get('retry-after') ?? Number.NaN);
  return seconds > 0 ? Math.min(seconds * 1_000, longestPauseMs) : pauseMs;
}

function refused(answer: Response | undefined): PipelineError {
  const what = answer ? `answered ${answer.status}` : 'does not answer';
  return new PipelineError('source-unavailable', `the server ${what}: see "status"`);
}
