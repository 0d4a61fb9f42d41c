import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BenchConsole, CaseResult } from './case-result.ts';
import { runFreshness } from './freshness-case.ts';
import { runHttpBatch, runHttpSingle } from './http-case.ts';
import { runJsonCase } from './json-case.ts';
import { describeCommit, describeMachine, type Machine } from './machine.ts';
import { runMerge } from './merge-case.ts';
import { type BenchOptions, readOptions, usage, UsageError } from './options.ts';
import { runSchedule } from './schedule-case.ts';
import { runTypedCase } from './typed-case.ts';

export interface BenchResult {
  readonly date: string;
  readonly commit: string | null;
  readonly machine: Machine;
  readonly cases: readonly CaseResult[];
}

type Case = (options: BenchOptions, console: BenchConsole) => Promise<CaseResult>;

const cases: Readonly<Record<string, Case>> = {
  json: runJsonCase,
  typed: runTypedCase,
  'http-single': runHttpSingle,
  'http-batch': runHttpBatch,
  freshness: runFreshness,
  merge: runMerge,
  schedule: runSchedule,
};

async function main(args: readonly string[]): Promise<void> {
  const options = readOptions(args, Object.keys(cases));
  const bench = { say: note, interrupted: interruption() };
  const results: CaseResult[] = [];
  for (const name of options.cases) {
    const run = cases[name];
    if (run) results.push(assertSound(await run(options, bench)));
  }
  const result: BenchResult = {
    date: new Date().toISOString(),
    commit: describeCommit(),
    machine: describeMachine(),
    cases: results,
  };
  const text = `${JSON.stringify(result, null, 2)}\n`;
  process.stdout.write(options.json ? text : toTable(result));
  if (options.save) await save(`${result.date.slice(0, 10)}-${options.cases.join('-')}`, text);
}

/** Stops what was started and leaves nothing behind, instead of ending at once. */
function interruption(): Promise<never> {
  const interrupted = new Promise<never>((_, reject) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
      process.on(signal, () => reject(new Error(`ended by ${signal}`)));
    }
  });
  interrupted.catch(() => undefined); // where nobody listens yet
  return interrupted;
}

function assertSound(result: CaseResult): CaseResult {
  for (const [name, value] of [result, ...result.runs].flatMap((part) => Object.entries(part))) {
    if (typeof value === 'number' && !(value > 0 && value < Number.POSITIVE_INFINITY)) {
      throw new Error(`${result.case}: ${name} is ${value}`);
    }
  }
  return result;
}

function toTable({ cases: results, machine }: BenchResult): string {
  const lines = results.map(({ case: name, ratio, runs: _runs, ...facts }) => {
    const numbers = Object.entries(facts).map(([fact, value]) => `${fact} ${String(value)}`);
    return `${name.padEnd(12)} ratio ${ratio.toFixed(3)}   ${numbers.join(', ')}`;
  });
  return `${[...lines, `${machine.cores} cores, Node ${machine.node}`].join('\n')}\n`;
}

async function save(name: string, text: string): Promise<void> {
  const folder = join(import.meta.dirname, 'results');
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, `${name}.json`), text);
  note(`saved as bench/results/${name}.json`);
}

function note(message: string): void {
  process.stderr.write(`${message}\n`);
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  const wrongUse = error instanceof UsageError;
  note(wrongUse ? `${error.message}\n\n${usage}` : `bench: ${String(error)}`);
  process.exitCode = wrongUse ? 2 : 1;
}
