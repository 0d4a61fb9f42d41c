import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { armFailpoints, failpoint } from '../../core/failpoints.ts';
import { armFailpointsFromEnvironment } from '../../store/failpoints/arm-failpoints.ts';
import { parseArmed, parseArmedList } from '../../store/failpoints/parse-armed.ts';
import { armFailpoint } from '../support/failpoints.ts';

let home: string;

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'millrace-failpoints-'));
});

afterEach(async () => {
  armFailpoints(() => undefined);
  await rm(home, { recursive: true });
});

function arm(wanted: string | undefined, allowed = '1'): void {
  armFailpointsFromEnvironment({
    MILLRACE_ALLOW_FAULTS: allowed,
    MILLRACE_HOME: home,
    ...(wanted !== undefined && { MILLRACE_FAILPOINTS: wanted }),
  });
}

describe('failpoints', () => {
  test.each(['', '0', 'true'])('do nothing where faults are allowed by "%s"', async (allowed) => {
    arm('settled=throw', allowed);
    await armFailpoint(home, 'settled=throw');
    expect(failpoint('settled')).toBeUndefined();
    expect(await readdir(join(home, 'failpoints'))).toEqual(['armed']);
  });

  test('act once, and nowhere else', async () => {
    arm('settled=throw');
    expect(failpoint('before-settle')).toBeUndefined();
    await expect(failpoint('settled')).rejects.toThrow('failpoint settled');
    expect(failpoint('settled')).toBeUndefined();
  });

  test('act at the hits that are named, counted over processes', async () => {
    arm('settled=throw@2*2');
    const acts = [failpoint('settled') !== undefined];
    arm('settled=throw@2*2'); // another process begins
    for (let hit = 2; hit <= 5; hit += 1) {
      const answer = failpoint('settled');
      answer?.catch(() => undefined);
      acts.push(answer !== undefined);
    }
    expect(acts).toEqual([false, true, true, false, false]);
  });

  test('can be armed and disarmed in a process that runs', async () => {
    arm(undefined);
    expect(failpoint('settled')).toBeUndefined();
    const first = await armFailpoint(home, 'settled=throw');
    expect(first.hasFired()).toBe(false);
    await expect(failpoint('settled')).rejects.toThrow('failpoint settled');
    expect(first.hasFired()).toBe(true);
    const second = await armFailpoint(home, 'settled=throw');
    await second.disarm();
    expect(failpoint('settled')).toBeUndefined();
    expect(second.hasFired()).toBe(false);
  });

  test('are refused with words when their text is none', () => {
    for (const text of [
      'settled',
      'nowhere=exit',
      'settled=delay',
      'settled=exit:2s',
      'settled=exit@0',
    ])
      expect(() => parseArmed(text)).toThrow(`"${text}" is no failpoint: write NAME=ACTION`);
    expect(() => arm('settled=explode')).toThrow('is no failpoint');
  });

  test('are read with action, length and hits', () => {
    expect(parseArmedList('settled=stop:2s@3*4, body-read=delay:500ms')).toEqual([
      { id: 'settled', name: 'settled', action: { kind: 'stop', ms: 2000 }, first: 3, times: 4 },
      {
        id: 'body-read',
        name: 'body-read',
        action: { kind: 'delay', ms: 500 },
        first: 1,
        times: 1,
      },
    ]);
  });
});
