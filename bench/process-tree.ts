import { readdirSync, readFileSync } from 'node:fs';

const ticksPerSecond = 100;

interface ProcessInfo {
  readonly pid: number;
  readonly parent: number;
  /** CPU seconds of the process and of the children it has waited for. */
  readonly cpuSeconds: number;
}

/** CPU seconds used so far by a process and everything below it (Linux, from /proc). */
export function treeCpuSeconds(root: number): number {
  return treeOf(root).reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0);
}

function treeOf(root: number): ProcessInfo[] {
  const all = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => readProcess(Number(name)))
    .filter((info) => info !== null);
  const found = all.filter(({ pid }) => pid === root);
  for (let at = 0; at < found.length; at += 1) {
    found.push(...all.filter(({ parent }) => parent === found[at]?.pid));
  }
  return found;
}

function readProcess(pid: number): ProcessInfo | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat
      .slice(stat.lastIndexOf(')') + 2)
      .split(' ')
      .map(Number);
    const ticks = [11, 12, 13, 14].reduce((sum, at) => sum + (fields[at] ?? 0), 0);
    return { pid, parent: fields[1] ?? 0, cpuSeconds: ticks / ticksPerSecond };
  } catch {
    return null; // it ended meanwhile
  }
}
