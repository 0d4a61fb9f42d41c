import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { startInstance, type TestInstance } from '../test/support/instance.ts';
import { until } from '../test/support/until.ts';
import { round, type BenchConsole, type CaseResult } from './case-result.ts';
import { createRandom, toLine } from './events.ts';
import { sendLoad, type HttpLoadResult } from './http-load.ts';
import { median } from './median.ts';
import type { BenchOptions } from './options.ts';

const environment = { MILLRACE_PATIENCE: '1', MILLRACE_MAINTAIN_EVERY_MS: '60000' };

const config = `
destinations: { warehouse: { type: postgres } }
sources: { app: { type: http } }
pipelines: { app: { source: app, destinations: [warehouse] } }
`;

const connections = 64;
const eventsOfBatch = 500;
const drainMs = 300_000;
/** Single events are noisy: more and shorter turns. */
const leastTurns = { 'http-single': 5, 'http-batch': 3 };

/**
 * Events posted on connections that stay open, one or 500 in a request, each answered when it is
 * durable; beside the same endpoint without storage, in turns. At the end every event is a row.
 */
async function runHttp(
  name: 'http-single' | 'http-batch',
  { events: asked, runs: askedRuns, smoke }: BenchOptions,
  { say, interrupted }: BenchConsole,
): Promise<CaseResult> {
  const perRequest = name === 'http-single' ? 1 : eventsOfBatch;
  const events = name === 'http-single' ? Math.ceil(asked / 10) : asked;
  const runs = smoke ? askedRuns : Math.max(askedRuns, leastTurns[name]);
  say(`${name}: starting an instance`);
  await using instance = await startInstance({ config, environment });
  await using floor = await startFloor();
  const measure = async (): Promise<CaseResult> => {
    const measured = [];
    const { port } = new URL(instance.urls.console);
    const token = instance.urls.tokens['app'] ?? '';
    const path = '/v1/events/app';
    for (let run = 0; run <= runs; run += 1) {
      const bodies = createBodies(run, events, perRequest);
      const load = { path, token, connections, bodies, contentType: 'application/x-ndjson' };
      const bare = await sendLoad({ ...load, port: floor.port });
      const ours = await sendLoad({ ...load, port: Number(port) });
      await drained(instance, (run + 1) * events);
      if (run > 0) measured.push(toRun(bare, ours, perRequest)); // the first one warms up
      say(`${name}: run ${run}: floor ${rate(bare)}, ours ${rate(ours)} requests/s`);
    }
    return {
      case: name,
      ratio: round(median(measured.map(({ ratio }) => ratio)), 3),
      requestsPerSecond: median(measured.map(({ requestsPerSecond }) => requestsPerSecond)),
      eventsPerSecond: median(measured.map(({ eventsPerSecond }) => eventsPerSecond)),
      floorRequestsPerSecond: median(measured.map((run) => run.floorRequestsPerSecond)),
      events,
      connections,
      runs: measured,
    };
  };
  return await Promise.race([measure(), interrupted]);
}

export const runHttpSingle = (options: BenchOptions, console: BenchConsole) =>
  runHttp('http-single', options, console);
export const runHttpBatch = (options: BenchOptions, console: BenchConsole) =>
  runHttp('http-batch', options, console);

/** Made before the clock runs: the same bytes for both sides. */
function createBodies(seed: number, events: number, perRequest: number): readonly Buffer[] {
  const random = createRandom(seed);
  const bodies: Buffer[] = [];
  for (let sent = 0; sent < events; sent += perRequest) {
    let text = '';
    const count = Math.min(perRequest, events - sent);
    for (let n = 0; n < count; n += 1) text += toLine(seed * events + sent + n, random);
    bodies.push(Buffer.from(text));
  }
  return bodies;
}

function toRun(bare: HttpLoadResult, ours: HttpLoadResult, perRequest: number) {
  return {
    ratio: round(bare.seconds / ours.seconds, 3),
    requestsPerSecond: rate(ours),
    eventsPerSecond: rate(ours) * perRequest,
    floorRequestsPerSecond: rate(bare),
  };
}

function rate({ requests, seconds }: HttpLoadResult): number {
  return Math.round(requests / seconds);
}

/** Every event that was answered is a row, once. */
async function drained(instance: TestInstance, events: number): Promise<void> {
  const count = async () => {
    const [row] = await instance
      .warehouse<{ n: number; ids: number }>(
        'SELECT count(*)::int AS n, count(DISTINCT id)::int AS ids FROM app.app',
      )
      .catch(() => [{ n: 0, ids: 0 }]);
    return row ?? { n: 0, ids: 0 };
  };
  await until('every event to be a row', async () => (await count()).n >= events, drainMs);
  const { n, ids } = await count();
  if (n !== events || ids !== events) throw new Error(`${n} rows, ${ids} ids of ${events} events`);
}

async function startFloor(): Promise<AsyncDisposable & { readonly port: number }> {
  const script = join(import.meta.dirname, 'http-floor-server.ts');
  const child = spawn(process.execPath, [script], { stdio: ['pipe', 'pipe', 'inherit'] });
  const port = await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', () => reject(new Error('the floor server ended')));
    child.stdout.once('data', (line: Buffer) => resolve(Number(line.toString())));
  });
  return {
    port,
    async [Symbol.asyncDispose]() {
      child.removeAllListeners('exit').kill('SIGTERM');
    },
  };
}
