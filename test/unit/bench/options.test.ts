import { describe, expect, test } from 'vitest';
import { readOptions, UsageError } from '../../../bench/options.ts';

const known = ['json', 'typed'];

describe('the command line of the bench', () => {
  test('measures every case with a million events, three times', () => {
    expect(readOptions([], known)).toMatchObject({ cases: known, events: 1_000_000, runs: 3 });
  });

  test('takes a case, sizes and flags', () => {
    expect(readOptions(['json', '--json', '--events', '5000', '--runs', '1'], known)).toEqual({
      cases: ['json'],
      json: true,
      save: false,
      smoke: false,
      events: 5_000,
      runs: 1,
    });
  });

  test('is quick as a smoke test', () => {
    expect(readOptions(['--smoke'], known)).toMatchObject({ events: 20_000, runs: 1 });
  });

  test.for([
    [['csv'], 'There is no case "csv"; there is: json, typed'],
    [['--events', '0'], '--events takes a whole number above 0'],
    [['--runs', '1.5'], '--runs takes a whole number above 0'],
    [['--fast'], "Unknown option '--fast'"],
  ] as const)('refuses %j', ([args, message]) => {
    expect(() => readOptions(args, known)).toThrow(UsageError);
    expect(() => readOptions(args, known)).toThrow(message);
  });
});
