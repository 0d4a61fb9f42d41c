import { parseArgs } from 'node:util';

export interface BenchOptions {
  readonly cases: readonly string[];
  readonly json: boolean;
  /** Keep the result as a dated file in `bench/results/`. */
  readonly save: boolean;
  /** Small and quick: looks whether everything works, says nothing about speed. */
  readonly smoke: boolean;
  readonly events: number;
  readonly runs: number;
}

/** The command line cannot be followed; the message says why. */
export class UsageError extends Error {}

export const usage = `npm run bench -- [CASE…] [options]
  --json        one JSON object on stdout
  --save        keep it as bench/results/<date>-<cases>.json
  --events N    events of a run (default 1000000)
  --runs N      runs of each side, in turns; the medians count (default 3)
  --smoke       20000 events, one run: does it work?`;

/** @throws UsageError */
export function readOptions(args: readonly string[], known: readonly string[]): BenchOptions {
  const { values, positionals } = parse(args);
  const unknown = positionals.find((name) => !known.includes(name));
  if (unknown !== undefined) {
    throw new UsageError(`There is no case "${unknown}"; there is: ${known.join(', ')}`);
  }
  const { json, save, smoke } = values;
  return {
    cases: positionals.length > 0 ? positionals : known,
    json,
    save,
    smoke,
    events: readCount('--events', values.events, smoke ? 20_000 : 1_000_000),
    runs: readCount('--runs', values.runs, smoke ? 1 : 3),
  };
}

function parse(args: readonly string[]) {
  const flag = { type: 'boolean', default: false } as const;
  const value = { type: 'string' } as const;
  const options = { json: flag, save: flag, smoke: flag, events: value, runs: value };
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function readCount(name: string, text: string | undefined, fallback: number): number {
  if (text === undefined) return fallback;
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new UsageError(`${name} takes a whole number above 0`);
}
