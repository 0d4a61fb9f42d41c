import { setTimeout as sleep } from 'node:timers/promises';
import { startInstance, type TestInstance } from '../test/support/instance.ts';
import { postEvents } from '../test/support/post-events.ts';
import { Ages, summarizeAges, type AgesSummary } from './ages.ts';
import { round, type BenchConsole, type CaseResult } from './case-result.ts';
import { median } from './median.ts';
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
const roundSeconds = 20;
const leastRounds = 5;
const patienceMs = 60_000;
/** What is good enough; the ratio compares with it. */
const barSeconds = 5;

/**
 * How long after it was answered an event is a row that a reader sees, at 1,000 events a second.
 * Medians of several rounds; of the longest times the longest.
 */
export async function runFreshness(
  { smoke, runs }: BenchOptions,
  { say, interrupted }: BenchConsole,
): Promise<CaseResult> {
  const rounds = smoke ? 1 : Math.max(runs, leastRounds);
  say('freshness: starting an instance');
  await using instance = await startInstance({ config, environment });
  const measure = async (): Promise<CaseResult> => {
    await measureRound(instance, 0, warmUpSeconds);
    const measured: AgesSummary[] = [];
    let first = warmUpSeconds * eventsPerSecond;
    for (let run = 1; run <= rounds; run += 1) {
      const seconds = smoke ? 3 : roundSeconds;
      const found = await measureRound(instance, first, seconds);
      measured.push(found);
      say(`freshness: round ${run}: p95 ${found.p95Seconds} s, longest ${found.maxSeconds} s`);
      first += seconds * eventsPerSecond;
    }
    const p95Seconds = median(measured.map((run) => run.p95Seconds));
    return {
      case: 'freshness',
      ratio: round(barSeconds / p95Seconds, 3),
      p50Seconds: median(measured.map((run) => run.p50Seconds)),
      p95Seconds,
      maxSeconds: Math.max(...measured.map((run) => run.maxSeconds)),
      eventsPerSecond,
      events: first - warmUpSeconds * eventsPerSecond,
      runs: measured,
    };
  };
  return await Promise.race([measure(), interrupted]);
}

async function measureRound(
  instance: TestInstance,
  first: number,
  seconds: number,
): Promise<AgesSummary> {
  const count = seconds * eventsPerSecond;
  const select = `SELECT id::int FROM app.app WHERE id >= $1`;
  const patience = seconds * 1_000 + patienceMs;
  await prepareTable(instance, first);
  const url = instance.urls.warehouseUrl;
  const ages = new Ages({ url, select, first, count, patienceMs: patience });
  await Promise.all([ages.seen(), send(instance, { seconds, first, ages })]);
  return summarizeAges(ages.all());
}

/** The first event of all makes the table that is looked at; it is not measured. */
async function prepareTable(instance: TestInstance, first: number): Promise<void> {
  if (first > 0) return;
  await post(instance, { first: -1, count: 1 });
  await instance.json(['sync', 'app']);
}

interface Sending {
  readonly seconds: number;
  readonly first: number;
  readonly ages: Ages;
}

/** Posts evenly, however long the answers take; notes when each event was answered. */
async function send(instance: TestInstance, { seconds, first, ages }: Sending): Promise<void> {
  const count = eventsPerSecond / requestsPerSecond;
  const startedAt = performance.now();
  const posts = [];
  for (let request = 0; request < seconds * requestsPerSecond; request += 1) {
    const due = startedAt + (request * 1000) / requestsPerSecond;
    await sleep(Math.max(0, due - performance.now()));
    posts.push(post(instance, { first: first + request * count, count }, ages));
  }
  await Promise.all(posts);
}

async function post(
  instance: TestInstance,
  { first, count }: { first: number; count: number },
  ages?: Ages,
): Promise<void> {
  const ids = Array.from({ length: count }, (_, at) => first + at);
  const body = ids.map((id) => JSON.stringify({ id, at: new Date().toISOString() })).join('\n');
  const headers = { 'content-type': 'application/x-ndjson' };
  const { status } = await postEvents(instance, { body, headers });
  if (status !== 202) throw new Error(`the server answered ${status}`);
  ages?.began(ids);
}
