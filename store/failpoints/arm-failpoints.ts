import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { isMainThread } from 'node:worker_threads';
import { armFailpoints } from '../../core/failpoints.ts';
import { act } from './act.ts';
import { parseArmed, parseArmedList, type ArmedFailpoint } from './parse-armed.ts';

const stderr = 2;

/**
 * Arms failpoints, only where `MILLRACE_ALLOW_FAULTS=1`: those that `MILLRACE_FAILPOINTS` names,
 * and those that files in `failpoints/armed/` of the home name, which are looked for each time, so
 * that a test may arm what runs already. Hits are counted by marker files in the home, across
 * processes and threads: a restarted process goes on where the last one was killed.
 */
export function armFailpointsFromEnvironment(environment: NodeJS.ProcessEnv = process.env): void {
  if (environment['MILLRACE_ALLOW_FAULTS'] !== '1') return;
  const wanted = environment['MILLRACE_FAILPOINTS'] ?? '';
  const folder = join(environment['MILLRACE_HOME'] || '.millrace', 'failpoints');
  const fixed = parseArmedList(wanted);
  if (isMainThread) {
    say(`faults are allowed; failpoints armed: ${wanted || 'none'}, and those in ${folder}/armed`);
  }
  armFailpoints((name) => {
    for (const armed of [...fixed, ...readArmed(join(folder, 'armed'))]) {
      if (armed.name !== name || !isDue(folder, armed)) continue;
      say(`failpoint ${name}: ${armed.action.kind}`);
      return act(name, armed.action);
    }
    return undefined;
  });
}

/** In one call of the system: a thread's own stderr would not come through before a kill. */
function say(text: string): void {
  writeSync(stderr, `${text}\n`);
}

/** What files say, each one failpoint; whoever brings one renames it into place, whole. */
function readArmed(folder: string): readonly ArmedFailpoint[] {
  return namesIn(folder).flatMap((id) => {
    const text = readIfThere(join(folder, id));
    return text === null ? [] : [parseArmed(text, id)];
  });
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return []; // nothing was ever armed here
  }
}

function readIfThere(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null; // disarmed meanwhile
  }
}

/** Counts this hit; whether it is one of those that are meant. */
function isDue(folder: string, { id, first, times }: ArmedFailpoint): boolean {
  for (let hit = 1; hit < first + times; hit += 1) {
    if (claimMarker(folder, `${id}.${hit}`)) return hit >= first;
  }
  return false;
}

/** True for exactly one caller per marker. */
function claimMarker(directory: string, name: string): boolean {
  try {
    mkdirSync(directory, { recursive: true });
    closeSync(openSync(join(directory, name), 'wx'));
    return true;
  } catch {
    return false;
  }
}
