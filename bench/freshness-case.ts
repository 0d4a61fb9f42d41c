import { setTimeout as sleep } from 'node:timers/promises';
import { startInstance, type TestInstance } from '../test/support/instance.ts';
import { postEvents } from '../test/support/post-events.ts';
import { round, type BenchConsole, type CaseResult } from './case-result.ts';
import type { BenchOptions } from './options.ts';

const environment = { MILLRACE_PATIENCE: '1', MILLRACE_MAINTAIN_EVERY_MS: '60000' };

const config = `
destinations: { warehouse: { type: postgres } }
sources: { app: { type: http } }
pipelines: { app: { source: app, destinations: [warehouse] } }
`;

const eventsPerSecond = 1_000;
const requestsPerSecond = 20;
const warmUpSeconds = 5;
const lookEveryMs = 100;
const quietMs = 30_000;
/** What is good enough; the ratio compares with it. */
const barSeconds = 5;

/** How long after it was answered an event is a row that a reader sees, at 1,000 events a second. */
export async function runFreshness(
  { smoke }: BenchOptions,
  { say, interrupted }: BenchConsole,
): Promise<CaseResult> {
  const seconds = smoke ? 3 : 60;
  say('freshness: starting an instance');
  await using instance = await startInstance({ config, environment });
  const measure = async (): Promise<CaseResult> => {
    await send(instance, warmUpSeconds, 0);
    const first = warmUpSeconds * eventsPerSecond;
    say(`freshness: ${eventsPerSecond} events/s for ${seconds} s`);
    const looking = new AbortController();
    const answered = new Map<number, number>();
    const watching = watch(instance, { answered, first, stop: looking.signal });
    await send(instance, seconds, first, answered);
    await Promise.race([watching.all(seconds * eventsPerSecond), sleep(quietMs)]);
    looking.abort();
    const ages = await watching.ages;
    if (ages.length < seconds * eventsPerSecond) throw new Error('events never became rows');
    const [p50, p95, max] = [0.5, 0.95, 1].map((part) => quantile(ages, part) / 1000);
    return {
      case: 'freshness',
      ratio: round(barSeconds / (p95 ?? 0), 3),
      p50Seconds: round(p50 ?? 0, 3),
      p95Seconds: round(p95 ?? 0, 3),
      maxSeconds: round(max ?? 0, 3),
      eventsPerSecond,
      events: ages.length,
      runs: [{ p50Seconds: round(p50 ?? 0, 3), p95Seconds: round(p95 ?? 0, 3) }],
    };
  };
  return await Promise.race([measure(), interrupted]);
}

/** Posts evenly, however long the answers take; notes when each event was answered. */
async function send(
  instance: TestInstance,
  seconds: number,
  first: number,
  answered = new Map<number, number>(),
): Promise<void> {
  const perRequest = eventsPerSecond / requestsPerSecond;
  const startedAt = performance.now();
  const posts = [];
  for (let request = 0; request < seconds * requestsPerSecond; request += 1) {
    const due = startedAt + (request * 1000) / requestsPerSecond;
    await sleep(Math.max(0, due - performance.now()));
    posts.push(post(instance, first + request * perRequest, perRequest, answered));
  }
  await Promise.all(posts);
}

async function post(
  instance: TestInstance,
  first: number,
  count: number,
  answered: Map<number, number>,
): Promise<void> {
  const ids = Array.from({ length: count }, (_, at) => first + at);
  const body = ids.map((id) => JSON.stringify({ id, at: new Date().toISOString() })).join('\n');
  const headers = { 'content-type': 'application/x-ndjson' };
  const { status } = await postEvents(instance, { body, headers });
  if (status !== 202) throw new Error(`the server answered ${status}`);
  const now = performance.now();
  for (const id of ids) answered.set(id, now);
}

interface Watch {
  readonly answered: ReadonlyMap<number, number>;
  readonly first: number;
  readonly stop: AbortSignal;
}

function watch(instance: TestInstance, { answered, first, stop }: Watch) {
  const seen = new Map<number, number>();
  let oldestUnseen = first;
  const look = async () => {
    while (!stop.aborted) {
      const rows = await instance.warehouse<{ id: number }>(
        'SELECT id::int FROM app.app WHERE id >= $1',
        [oldestUnseen],
      );
      const now = performance.now();
      for (const { id } of rows) if (!seen.has(id)) seen.set(id, now);
      while (seen.has(oldestUnseen)) oldestUnseen += 1;
      await sleep(lookEveryMs);
    }
    return [...seen].map(([id, at]) => Math.max(0, at - (answered.get(id) ?? at)));
  };
  return {
    ages: look(),
    async all(count: number): Promise<void> {
      while (seen.size < count && !stop.aborted) await sleep(lookEveryMs);
    },
  };
}

function quantile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;
}
