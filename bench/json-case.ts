import { link, mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { startInstance, type TestInstance } from '../test/support/instance.ts';
import { peakRssMiB } from '../test/support/peak-memory.ts';
import { round, type BenchConsole, type CaseResult } from './case-result.ts';
import { writeEvents } from './events.ts';
import { openFloor, type Floor } from './floor.ts';
import { median } from './median.ts';
import type { BenchOptions } from './options.ts';
import { treeCpuSeconds } from './process-tree.ts';

const seed = 3;

/** Settings as for everybody: tests set some of them low. */
const environment = { MILLRACE_PATIENCE: '1', MILLRACE_MAINTAIN_EVERY_MS: '60000' };

const config = `
destinations: { warehouse: { type: postgres } }
sources: { json: { type: file, path: data/*.ndjson } }
pipelines: { json: { source: json, destinations: [warehouse] } }
`;

interface JsonResult extends CaseResult {
  readonly case: 'json';
  readonly seconds: number;
  readonly floorSeconds: number;
  readonly rowsPerSecond: number;
  readonly cpuSecondsPerMillionEvents: number;
  readonly peakRssMiB: number;
  readonly events: number;
  readonly bytes: number;
  readonly postgres: string;
  readonly runs: readonly JsonRun[];
}

interface JsonRun {
  readonly [fact: string]: number;
  readonly floorSeconds: number;
  readonly seconds: number;
  /** Of the whole instance: worker, server, Temporal, PostgreSQL. */
  readonly cpuSeconds: number;
}

/**
 * NDJSON → typed rows in Postgres, from `sync` on a running instance until all is settled, beside
 * COPY of the same rows, typed already, in turns on the same server. A run before them warms both
 * up and yields the typed rows. Every run loads a file that is new to Millrace into a new table.
 */
export async function runJsonCase(options: BenchOptions, console: BenchConsole) {
  console.say('json: starting an instance');
  await using instance = await startInstance({ config, environment });
  return await Promise.race([measure(instance, options, console.say), console.interrupted]);
}

async function measure(
  instance: TestInstance,
  { events, runs }: BenchOptions,
  say: BenchConsole['say'],
): Promise<JsonResult> {
  const path = join(instance.directory, 'events');
  say(`json: writing ${events} events`);
  await writeEvents(path, events, seed);
  await using floor = await openFloor(instance);
  await load(instance, floor, { events, name: 'warmup' });
  await floor.keepRows('json.warmup');
  const measured: JsonRun[] = [];
  for (let run = 1; run <= runs; run += 1) {
    const floorSeconds = await floor.measure('json.warmup');
    const ours = await load(instance, floor, { events, name: `run${run}` });
    measured.push({ floorSeconds: round(floorSeconds), ...ours });
    say(`json: run ${run}: floor ${floorSeconds.toFixed(2)} s, ours ${ours.seconds.toFixed(2)} s`);
  }
  return summarize(measured, {
    events,
    bytes: (await stat(path)).size,
    postgres: await floor.ask('SHOW server_version'),
    peakRssMiB: Math.round(await peakRssMiB(await instance.pidOf('worker'))),
  });
}

/** Loads a new file into a new table, and looks whether every event is there once. */
async function load(
  instance: TestInstance,
  floor: Floor,
  { events, name }: { events: number; name: string },
): Promise<{ readonly seconds: number; readonly cpuSeconds: number }> {
  await mkdir(join(instance.directory, 'data'), { recursive: true });
  await link(join(instance.directory, 'events'), join(instance.directory, `data/${name}.ndjson`));
  await floor.checkpoint();
  const cpuBefore = treeCpuSeconds(instance.urls.pid);
  const startedAt = performance.now();
  await instance.json(['sync', 'json']);
  const seconds = (performance.now() - startedAt) / 1000;
  const cpuSeconds = treeCpuSeconds(instance.urls.pid) - cpuBefore;
  const found = await floor.ask(
    `SELECT concat(count(*), ' rows, ', count(DISTINCT id), ' ids') FROM json.${name}`,
  );
  if (found !== `${events} rows, ${events} ids`) {
    throw new Error(`json.${name} holds ${found}; there are ${events} events`);
  }
  return { seconds: round(seconds), cpuSeconds: round(cpuSeconds) };
}

function summarize(
  runs: readonly JsonRun[],
  facts: { events: number; bytes: number; postgres: string; peakRssMiB: number },
): JsonResult {
  const { events, bytes, postgres, peakRssMiB: peak } = facts;
  const seconds = median(runs.map((run) => run.seconds));
  const cpuSeconds = median(runs.map((run) => run.cpuSeconds));
  return {
    case: 'json',
    ratio: round(median(runs.map((run) => run.floorSeconds / run.seconds)), 3),
    seconds,
    floorSeconds: median(runs.map((run) => run.floorSeconds)),
    rowsPerSecond: Math.round(events / seconds),
    cpuSecondsPerMillionEvents: round((cpuSeconds / events) * 1e6),
    peakRssMiB: peak,
    events,
    bytes,
    postgres,
    runs,
  };
}
