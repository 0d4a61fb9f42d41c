import { setTimeout as sleep } from 'node:timers/promises';
import type { JournalWriter } from '../journal.ts';
import type { Outcome } from '../oracle/journal.ts';
import type { Random } from '../random.ts';
import type { AppEvent } from './app-events.ts';

export interface AppTarget {
  readonly url: string;
  readonly token: string;
}

export interface AppRound {
  readonly events: readonly AppEvent[];
  readonly round: number;
  readonly random: Random;
  readonly journal: JournalWriter;
  /** How long a client goes on that does not give up. */
  readonly patienceMs: number;
  /** Asked for each time: ports may change. */
  readonly target: () => AppTarget;
  /** What every client sends is in order: one that is refused, or gives up, has found a defect. */
  readonly onRefused: (why: string) => void;
}

const perRequest = 100;
const clients = 4;
const pauseMs = 100;
const shares = { again: 0.06, hasty: 0.06, careless: 0.04 };

/**
 * Applications that send: most of them until they are answered. Some send the same again and again,
 * some hang up in the middle and send again, some never ask what became of it.
 */
export async function sendEvents(given: AppRound): Promise<void> {
  const requests: (readonly AppEvent[])[] = [];
  for (let at = 0; at < given.events.length; at += perRequest) {
    requests.push(given.events.slice(at, at + perRequest));
  }
  const lines = Array.from({ length: clients }, (_, client) =>
    requests.filter((_request, at) => at % clients === client),
  );
  await Promise.all(
    lines.map(async (line, client) => {
      const random = given.random.fork(`client ${client}`);
      for (const events of line) await sendRequest(events, { ...given, random });
    }),
  );
}

async function sendRequest(events: readonly AppEvent[], given: AppRound): Promise<void> {
  const { random, journal, round } = given;
  const requests = [...Map.groupBy(events, ({ stream }) => stream)].map(([stream, list]) =>
    journal.sent({ source: 'app', stream, round, events: list.map(({ sent }) => sent) }),
  );
  const note = (outcome: Outcome) => requests.forEach((id) => journal.answered(id, outcome));
  const body = `[${events.map(({ text }) => text).join(',')}]`;
  const roll = random.next();
  if (roll < shares.careless) return note(await post(body, given));
  if (roll < shares.careless + shares.hasty) {
    note(await post(body, given, AbortSignal.timeout(random.below(25))));
  }
  const times = random.chance(shares.again) ? 2 + random.below(4) : 1;
  for (let time = 0; time < times; time += 1) note(await postUntilTaken(body, given));
}

async function postUntilTaken(body: string, given: AppRound): Promise<Outcome> {
  for (const end = Date.now() + given.patienceMs; ;) {
    const outcome = await post(body, given);
    if (outcome === 'ok') return outcome;
    if (outcome === 'failed') given.onRefused('a good request was refused');
    else if (Date.now() <= end) {
      await sleep(pauseMs);
      continue;
    } else given.onRefused(`a client had no answer for ${given.patienceMs / 1_000} s`);
    return outcome;
  }
}

/** What is answered with an error of the server may be stored all the same. */
async function post(body: string, { target }: AppRound, hangUp?: AbortSignal): Promise<Outcome> {
  const { url, token } = target();
  const late = AbortSignal.timeout(30_000);
  try {
    const response = await fetch(`${url}/v1/events/app`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      body,
      signal: hangUp ? AbortSignal.any([hangUp, late]) : late,
    });
    await response.arrayBuffer();
    if (response.status === 202) return 'ok';
    return response.status >= 500 || response.status === 429 ? 'unknown' : 'failed';
  } catch {
    return 'unknown';
  }
}
