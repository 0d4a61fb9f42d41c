import { pino } from 'pino';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Nudges } from '../../../server/intake/nudges.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

function createNudges(send: (source: string) => Promise<void> = async () => undefined) {
  const sent: string[] = [];
  const logged: string[] = [];
  const log = pino({ base: null }, { write: (line: string) => void logged.push(line) });
  const nudges = new Nudges((source) => {
    sent.push(source);
    return send(source);
  }, log);
  return { nudges, sent, logged };
}

test('the first chunk after a rest is told soon, and once with those that come with it', async () => {
  const { nudges, sent } = createNudges();
  for (let n = 0; n < 5; n += 1) nudges.nudge('app');
  nudges.nudge('other');
  await vi.advanceTimersByTimeAsync(100);
  expect(sent).toEqual(['app', 'other']);
});

test('while more comes it is told once a second, the last chunk too', async () => {
  const { nudges, sent } = createNudges();
  for (let ms = 0; ms < 3_000; ms += 50) {
    nudges.nudge('app');
    await vi.advanceTimersByTimeAsync(50);
  }
  const soFar = sent.length;
  expect(soFar).toBeLessThanOrEqual(4);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(sent.length).toBe(soFar + 1);
});

test('what fails is said once, until it works again', async () => {
  let works = false;
  const { nudges, logged } = createNudges(async () => {
    if (!works) throw new Error('away');
  });
  for (const next of [false, false, true, false]) {
    works = next;
    nudges.nudge('app');
    await vi.advanceTimersByTimeAsync(2_000);
  }
  expect(logged).toHaveLength(2);
});
