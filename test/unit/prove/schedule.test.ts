import { expect, test } from 'vitest';
import { planRounds } from '../../prove/nemesis/schedule.ts';
import { isSound, toFaultLines, toText, countWords, type ProofReport } from '../../prove/report.ts';
import { makeAppEvents } from '../../prove/workload/app-events.ts';
import { createRandom } from '../../prove/random.ts';

const options = { seed: 'x', events: 1_000, faults: 25, kinds: ['a', 'b', 'c'], perRound: 2 };

test('the same seed gives the same faults and events, another one gives others', () => {
  expect(planRounds(options)).toEqual(planRounds(options));
  expect(planRounds(options)).not.toEqual(planRounds({ ...options, seed: 'y' }));
  const events = (seed: string) =>
    makeAppEvents({ from: 0, count: 500, random: createRandom(seed), newFields: [] });
  expect(events('x')).toEqual(events('x'));
  expect(events('x')).not.toEqual(events('y'));
});

test('all faults and all events are in some round, and every kind before one comes again', () => {
  const rounds = planRounds(options);
  const names = rounds.flatMap(({ faults }) => faults.map(({ name }) => name));
  expect(names.length).toBe(25);
  expect(new Set(names.slice(0, 3))).toEqual(new Set(options.kinds));
  expect(rounds.reduce((sum, { events }) => sum + events, 0)).toBe(1_000);
});

test('a violation stands in the line of its fault, and one of a batch in the last one', () => {
  const violations = [
    { word: 'lost', source: 'app', subject: '1', detail: 'gone', round: 2 },
    { word: 'torn', source: 'app', subject: 'b', detail: 'half' },
  ] as const;
  const rounds = [
    { round: 1, strikes: [{ fault: 'a', times: 1 }], drainSeconds: 2 },
    { round: 2, strikes: [{ fault: 'b', times: 3 }], drainSeconds: 4 },
  ];
  const faults = toFaultLines(rounds, violations);
  expect(faults.map(({ violations: { lost, torn } }) => [lost, torn])).toEqual([
    [0, 0],
    [1, 0],
  ]);
  const report: ProofReport = {
    date: '2026-01-01',
    commit: null,
    seed: 'x',
    repeat: 'again',
    events: 2,
    seconds: 1,
    faults,
    totals: countWords(violations),
    strikes: 4,
    planned: 2,
    struck: 2,
    kinds: 2,
    stuck: [],
    notes: [],
    violations,
  };
  expect(isSound(report)).toBe(false);
  expect(isSound({ ...report, violations: [], stuck: ['round 1'] })).toBe(false);
  expect(isSound({ ...report, violations: [] })).toBe(true);
  expect(isSound({ ...report, violations: [], struck: 1 })).toBe(false);
  expect(toText(report)).toContain('| all, batches too | 4 | 1 | 0 | 1 |');
});
