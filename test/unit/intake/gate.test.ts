import { expect, test } from 'vitest';
import type { IntakeRules } from '../../../core/intake.ts';
import { IntakeGate } from '../../../intake/gate.ts';

const rules = { eventsPerSecond: 10, quotaBytes: 1_000 } as IntakeRules;

function createGate() {
  const clock = { now: 1_000_000, free: 5_000 };
  const gate = new IntakeGate({
    minFreeBytes: 1_000,
    readFreeBytes: async () => clock.free,
    now: () => clock.now,
  });
  return { clock, gate };
}

function retryAfter(call: () => void): unknown {
  try {
    call();
  } catch (error) {
    return (error as { details: { retryAfterSeconds: number } }).details.retryAfterSeconds;
  }
  return null;
}

test('so many events a second pass, then the sender is told when to come again', () => {
  const { gate, clock } = createGate();
  for (let n = 0; n < 10; n += 1) gate.take('s', rules, 1);
  expect(retryAfter(() => gate.take('s', rules, 1))).toBe(1);
  gate.take('other', rules, 1);
  clock.now += 500;
  gate.take('s', rules, 5);
  expect(retryAfter(() => gate.take('s', rules, 5))).toBe(1);
});

test('a batch of more than a second passes after a rest, and is made up for', () => {
  const { gate, clock } = createGate();
  gate.take('s', rules, 30);
  expect(retryAfter(() => gate.take('s', rules, 1))).toBe(3);
  clock.now += 2_000;
  expect(retryAfter(() => gate.take('s', rules, 1))).toBe(1);
  clock.now += 100;
  gate.take('s', rules, 1);
});

test('a clock that is set back gives nothing and takes nothing', () => {
  const { gate, clock } = createGate();
  for (let n = 0; n < 10; n += 1) gate.take('s', rules, 1);
  clock.now -= 60_000;
  expect(retryAfter(() => gate.take('s', rules, 1))).toBe(1);
});

test('a source whose chunks fill its quota waits; others do not', async () => {
  const { gate } = createGate();
  gate.noteStored('s', 1_000);
  await expect(gate.admit('s', rules)).rejects.toMatchObject({
    kind: 'quota-exceeded',
    details: { retryAfterSeconds: 30 },
  });
  await gate.admit('other', rules);
  gate.noteStored('s', 999);
  await gate.admit('s', rules);
});

test('nothing is taken in while the disk is full, and again when it is not', async () => {
  const { gate, clock } = createGate();
  clock.free = 999;
  await expect(gate.admit('s', rules)).rejects.toMatchObject({ kind: 'staging-unavailable' });
  clock.free = 1_000;
  clock.now += 1_000;
  await gate.admit('s', rules);
});
