import { words, type Violation, type Word } from './oracle/violations.ts';

export interface ProofReport {
  readonly date: string;
  readonly commit: string | null;
  readonly seed: string;
  readonly repeat: string;
  readonly events: number;
  readonly seconds: number;
  readonly sabotage?: string;
  readonly faults: readonly FaultLine[];
  /** Of events and batches together. */
  readonly totals: Readonly<Record<Word, number>>;
  readonly strikes: number;
  /** Faults that were planned, and those of them that found something to strike. */
  readonly planned: number;
  readonly struck: number;
  readonly kinds: number;
  /** Rounds that did not drain by themselves in time. */
  readonly stuck: readonly string[];
  /** What could not be done to the product, and why: no violation of the product. */
  readonly notes: readonly string[];
  readonly violations: readonly Violation[];
}

export interface FaultLine {
  readonly fault: string;
  readonly times: number;
  readonly violations: Readonly<Record<Word, number>>;
  /** The longest, after a round with this fault. */
  readonly drainSeconds: number;
}

export interface RoundResult {
  readonly round: number;
  readonly strikes: readonly { readonly fault: string; readonly times: number }[];
  readonly drainSeconds: number;
}

export function countWords(violations: readonly Violation[]): Record<Word, number> {
  const counts = Object.fromEntries(words.map((word) => [word, 0])) as Record<Word, number>;
  for (const { word } of violations) counts[word] += 1;
  return counts;
}

/** One line for each kind of fault. A violation counts for the faults of its event's round. */
export function toFaultLines(
  rounds: readonly RoundResult[],
  violations: readonly Violation[],
): readonly FaultLine[] {
  const strikes = rounds.flatMap(({ strikes, ...round }) =>
    strikes.map((strike) => ({ ...strike, ...round })),
  );
  return [...Map.groupBy(strikes, ({ fault }) => fault)]
    .map(([fault, list]) => ({
      fault,
      times: list.reduce((sum, { times }) => sum + times, 0),
      violations: countWords(
        violations.filter(({ round }) => list.some((strike) => strike.round === round)),
      ),
      drainSeconds: Math.max(...list.map(({ drainSeconds }) => drainSeconds)),
    }))
    .toSorted((a, b) => (a.fault < b.fault ? -1 : 1));
}

/** Of faults that strike at once one may take away what another one waits for, but not many. */
const leastStruck = 0.8;

export function isSound({ violations, stuck, planned, struck }: ProofReport): boolean {
  return violations.length === 0 && stuck.length === 0 && struck >= leastStruck * planned;
}

const shownViolations = 20;

export function toText(report: ProofReport): string {
  const head = ['fault', 'times', ...words, 'drained in s'];
  const rows = report.faults.map(({ fault, times, violations, drainSeconds }) =>
    [fault, times, ...words.map((word) => violations[word]), drainSeconds.toFixed(1)].map(String),
  );
  const sums = words.map((word) => String(report.totals[word]));
  const last = ['all, batches too', String(report.strikes), ...sums, ''];
  const table = [head, head.map(() => '---'), ...rows, last].map((row) => `| ${row.join(' | ')} |`);
  return [
    `# Exactly once: ${isSound(report) ? 'held' : 'BROKEN'}`,
    '',
    `- ${report.events} events taken; ${report.struck} of ${report.planned} faults struck, ${report.strikes} times, ${report.kinds} kinds; ${Math.round(report.seconds)} s`,
    `- commit ${report.commit ?? 'unknown'}, ${report.date}, seed \`${report.seed}\``,
    `- again: \`${report.repeat}\``,
    ...(report.sabotage ? [`- sabotaged: ${report.sabotage}`] : []),
    '',
    ...table,
    '',
    ...(report.struck < leastStruck * report.planned ? ['- too few of the faults struck'] : []),
    ...report.stuck.map((text) => `- did not drain: ${text}`),
    ...report.notes.map((text) => `- note: ${text}`),
    ...report.violations
      .slice(0, shownViolations)
      .map(
        ({ word, source, destination, round, subject, detail }) =>
          `- ${word}: ${source}${destination ? ` → ${destination}` : ''} ${subject}: ${detail}${round ? `, round ${round}` : ''}`,
      ),
    ...(report.violations.length > shownViolations
      ? [`- and ${report.violations.length - shownViolations} more`]
      : []),
    '',
  ].join('\n');
}
