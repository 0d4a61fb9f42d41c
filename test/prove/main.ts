import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describeCommit } from '../../bench/machine.ts';
import { faults } from './nemesis/faults.ts';
import { planRounds } from './nemesis/schedule.ts';
import { readOptions, usage, UsageError, type ProofOptions } from './options.ts';
import { canMount, prove } from './prove.ts';
import { sabotages } from './sabotage/sabotages.ts';
import { countWords, isSound, toFaultLines, toText, type ProofReport } from './report.ts';

async function main(args: readonly string[]): Promise<number> {
  const { list, ...given } = readOptions(args);
  const options = { ...given, only: chosen(given) };
  const kinds = [...faults.values()]
    .filter(({ needsDisk = false }) => canMount || !needsDisk)
    .map(({ name }) => name)
    .filter((name) => isChosen(name, options.only));
  if (kinds.length === 0) throw new UsageError(`no fault is named like ${options.only.join(', ')}`);
  if (list) {
    process.stdout.write(`${kinds.join('\n')}\n`);
    return 0;
  }
  const report = await run(options, kinds);
  process.stdout.write(options.json ? `${JSON.stringify(report, null, 2)}\n` : toText(report));
  if (options.save) await save(report);
  return isSound(report) ? 0 : 1;
}

/** A sabotage alone is struck by what lets it do its harm. */
function chosen({ only, sabotage }: ProofOptions): readonly string[] {
  return only.length === 0 && sabotage ? sabotages[sabotage].provokedBy : only;
}

function skippedKinds(): readonly string[] {
  const skipped = [...faults.values()].filter(({ needsDisk = false }) => needsDisk && !canMount);
  if (skipped.length === 0) return [];
  return [`${skipped.length} kinds skipped: only root can mount a disk to fill`];
}

function isChosen(name: string, only: readonly string[]): boolean {
  return only.length === 0 || only.some((text) => name.includes(text));
}

async function run(options: ProofOptions, kinds: readonly string[]): Promise<ProofReport> {
  const begin = Date.now();
  const folder = options.keep ?? (await mkdtemp(join(tmpdir(), 'millrace-proof-')));
  try {
    const rounds = planRounds({ ...options, kinds });
    const say = (text: string) => void process.stderr.write(`${text}\n`);
    say(`seed ${options.seed}: ${options.faults} faults in ${rounds.length} rounds`);
    const drainMs = options.drainSeconds * 1_000;
    const result = await prove({
      seed: options.seed,
      rounds,
      faults,
      folder,
      say,
      drainMs,
      ...(options.sabotage && { sabotage: options.sabotage }),
      interrupted: interruption(),
    });
    const lines = toFaultLines(result.rounds, result.violations);
    const strikes = result.rounds.flatMap((round) => round.strikes);
    return {
      date: new Date().toISOString(),
      commit: describeCommit(),
      seed: options.seed,
      repeat: toCommand(options),
      ...(options.sabotage && { sabotage: options.sabotage }),
      events: result.events,
      seconds: (Date.now() - begin) / 1_000,
      faults: lines,
      totals: countWords(result.violations),
      strikes: lines.reduce((sum, { times }) => sum + times, 0),
      planned: strikes.length,
      struck: strikes.filter(({ times }) => times > 0).length,
      kinds: lines.filter(({ times }) => times > 0).length,
      stuck: result.stuck,
      notes: [...skippedKinds(), ...result.notes],
      violations: result.violations,
    };
  } finally {
    if (options.keep === undefined) await rm(folder, { recursive: true, force: true });
  }
}

/** Stops what was started and leaves nothing behind, instead of ending at once. */
function interruption(): Promise<never> {
  return new Promise((_, reject) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
      process.once(signal, () => reject(new Error(`ended by ${signal}`)));
    }
  });
}

function toCommand({ events, faults: count, seed, only, ...rest }: ProofOptions) {
  const { perRound, drainSeconds, sabotage } = rest;
  const chosen = only.map((text) => ` --only '${text}'`).join('');
  const broken = sabotage ? ` --sabotage ${sabotage}` : '';
  return `npm run prove -- --events ${events} --faults ${count} --per-round ${perRound} --drain-seconds ${drainSeconds} --seed ${seed}${chosen}${broken}`;
}

async function save(report: ProofReport): Promise<void> {
  const folder = fileURLToPath(new URL('../../docs/proof/', import.meta.url));
  await mkdir(folder, { recursive: true });
  const file = join(folder, `${report.date.slice(0, 10)}-${report.seed}.md`);
  await writeFile(file, toText(report));
  process.stderr.write(`kept as ${file}\n`);
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  const isUsage = error instanceof UsageError;
  process.stderr.write(isUsage ? `${error.message}\n${usage}\n` : `${String(error)}\n`);
  process.exit(isUsage ? 2 : 3); // what was interrupted may still wait for something
}
