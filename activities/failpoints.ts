import { mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { armFailpoints, failpoints, type Failpoint } from '../core/failpoints.ts';

/**
 * Arms the failpoints that `MILLRACE_FAILPOINTS` names, only where `MILLRACE_ALLOW_FAULTS=1`:
 * `name=exit` ends the process like SIGKILL, `name=stop` makes it stand still like SIGSTOP;
 * `name=exit*3` does so three times. A marker file in the home counts, so that the restarted
 * process goes on.
 */
export function armFailpointsFromEnvironment(environment: NodeJS.ProcessEnv = process.env): void {
  const wanted = environment['MILLRACE_FAILPOINTS'];
  if (environment['MILLRACE_ALLOW_FAULTS'] !== '1' || !wanted) return;
  const home = environment['MILLRACE_HOME'] ?? '.millrace';
  const armed = new Map(wanted.split(',').map(parseOne));
  process.stderr.write(`failpoints armed: ${wanted}\n`);
  armFailpoints((name) => {
    const { signal, times } = armed.get(name) ?? { signal: 'SIGKILL', times: 0 };
    for (let n = 1; n <= times; n += 1) {
      if (claimMarker(join(home, 'failpoints'), `${name}.${n}`)) process.kill(process.pid, signal);
    }
  });
}

function parseOne(text: string): [Failpoint, { signal: NodeJS.Signals; times: number }] {
  const match = /^([a-z-]+)=(exit|stop)(?:\*(\d+))?$/.exec(text.trim());
  const name = match?.[1];
  if (name === undefined || !Object.hasOwn(failpoints, name)) {
    throw new Error(
      `MILLRACE_FAILPOINTS: "${text}" is no failpoint; write name=exit, name=stop or name=exit*3`,
    );
  }
  const signal = match?.[2] === 'stop' ? 'SIGSTOP' : 'SIGKILL';
  return [name as Failpoint, { signal, times: Number(match?.[3] ?? 1) }];
}

/** True for exactly one caller per marker, across processes and threads. */
function claimMarker(directory: string, name: string): boolean {
  mkdirSync(directory, { recursive: true });
  try {
    openSync(join(directory, name), 'wx');
    return true;
  } catch {
    return false;
  }
}
