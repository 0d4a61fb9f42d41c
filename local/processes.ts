import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { codeOf } from './home.ts';

/** A process that cannot be mistaken for another one that got its pid later. */
export interface ProcessRef {
  readonly pid: number;
  readonly bornAt: string;
}

interface ProcessStatus {
  readonly parent: number;
  readonly group: number;
  readonly state: string;
  readonly bornAt: string;
  readonly command: string;
}

export function refOf(pid: number): ProcessRef {
  return { pid, bornAt: bornAt(pid) ?? '' };
}

export function isAlive(process: ProcessRef): boolean {
  return bornAt(process.pid) === process.bornAt;
}

/** When a process started, in a form that only compares for equality; undefined when it is gone. */
function bornAt(pid: number): string | undefined {
  if (process.platform === 'linux') {
    const status = readStatus(pid);
    return status === undefined || status.state === 'Z' ? undefined : status.bornAt;
  }
  try {
    return execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim();
  } catch {
    return undefined;
  }
}

function readStatus(pid: number): ProcessStatus | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const commandEnd = text.lastIndexOf(')');
    const fields = text.slice(commandEnd + 2).split(' ');
    return {
      command: text.slice(text.indexOf('(') + 1, commandEnd),
      state: fields[0] ?? '',
      parent: Number(fields[1]),
      group: Number(fields[2]),
      bornAt: fields[19] ?? '',
    };
  } catch {
    return undefined;
  }
}

/**
 * The program behind a life-line wrapper (`life-line.ts`): the process that a fault test kills.
 * Undefined while there is none. Linux only.
 */
export function programBehind(wrapperPid: number): number | undefined {
  return allPids().find((pid) => {
    const status = readStatus(pid);
    return status?.parent === wrapperPid && status.command !== 'sh' && status.state !== 'Z';
  });
}

/**
 * Living processes of a group which were started for this home, also when the group's leader is
 * gone. The home in their environment tells them from strangers. Linux only; elsewhere none.
 */
export function membersOf(group: number, home: string): readonly number[] {
  return allPids().filter((pid) => {
    const status = readStatus(pid);
    return status?.group === group && status.state !== 'Z' && belongsTo(pid, home);
  });
}

function belongsTo(pid: number, home: string): boolean {
  try {
    const environment = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
    return environment.includes(`MILLRACE_HOME=${home}`);
  } catch {
    return false;
  }
}

function allPids(): readonly number[] {
  if (process.platform !== 'linux') return [];
  return readdirSync('/proc').map(Number).filter(Number.isInteger);
}

/** Sends a signal to a process group; a group that is gone is fine. */
export function signalGroup(group: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-group, signal);
  } catch (error) {
    if (codeOf(error) !== 'ESRCH') throw error;
  }
}

export function groupExists(group: number): boolean {
  try {
    process.kill(-group, 0);
    return true;
  } catch (error) {
    return codeOf(error) !== 'ESRCH';
  }
}

export function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (codeOf(error) !== 'ESRCH') throw error;
  }
}

/** Polls until `isDone`; false when the time is over. */
export async function waitUntil(
  isDone: () => boolean | Promise<boolean>,
  timeoutMs: number,
  everyMs = 50,
): Promise<boolean> {
  const deadline = Date.now() + timeoutMs;
  while (!(await isDone())) {
    if (Date.now() >= deadline) return false;
    await sleep(everyMs);
  }
  return true;
}
