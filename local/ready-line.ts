import { open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ChildStart } from './child.ts';

const pollMs = 50;

/** Waits for the line `{"ready":true}` that the server and the worker print when they serve. */
export async function waitForReadyLine(logFile: string, start: ChildStart): Promise<void> {
  while (!(await readFrom(logFile, start.logOffset)).split('\n').some(isReadyLine)) {
    await sleep(pollMs, undefined, { signal: start.signal });
  }
}

function isReadyLine(line: string): boolean {
  if (!line.startsWith('{')) return false;
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null && 'ready' in value && value.ready === true;
  } catch {
    return false;
  }
}

async function readFrom(file: string, offset: number): Promise<string> {
  await using handle = await open(file);
  const { size } = await handle.stat();
  const bytes = Buffer.alloc(Math.max(0, size - offset));
  const { bytesRead } = await handle.read(bytes, 0, bytes.length, offset);
  return bytes.toString('utf8', 0, bytesRead);
}
