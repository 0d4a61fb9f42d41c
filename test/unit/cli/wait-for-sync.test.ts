import { expect, test } from 'vitest';
import { isDone } from '../../../cli/wait-for-sync.ts';

const nothing = { pending: 0, waiting: 0, stopped: 0, lost: 0, openFailures: 0, restreaming: 0 };
const done = (open: Partial<typeof nothing>, wanted: readonly string[] = []) =>
  isDone({ wanted, open: { ...nothing, ...open } });

test('a sync waits for what is on its way, not for what stands still', () => {
  expect(done({})).toBe(true);
  expect(done({ pending: 1, stopped: 1 })).toBe(false);
  expect(done({}, ['shop'])).toBe(false);
  expect(done({ restreaming: 3 })).toBe(false);
  expect(done({ restreaming: 3, stopped: 1 })).toBe(true);
  expect(done({ restreaming: 3, waiting: 1 })).toBe(true);
});
