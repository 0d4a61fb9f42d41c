import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PipelineError } from '../core/errors.ts';
import { isFailureKind } from '../core/failures.ts';
import { openHome } from './home.ts';
import type { InstanceInfo } from './instance.ts';
import type { SuperviseMessage } from './supervise.ts';
import type { UpOptions } from './up.ts';

const superviseFile = fileURLToPath(new URL('supervise.ts', import.meta.url));

export interface DetachedInstance {
  /** False where the instance ran already. */
  readonly started: boolean;
  readonly info: InstanceInfo;
}

/**
 * Starts an instance that goes on when we end, or finds the running one; returns when it is
 * healthy. `onProgress` is told of the start as by `up`.
 * @throws PipelineError of the start; nothing is left running then
 */
export async function upDetached(options: UpOptions): Promise<DetachedInstance> {
  const { onProgress = () => undefined, env = process.env, ...rest } = options;
  const home = await openHome(options.home);
  const logFile = join(home.logs, 'supervisor.log');
  const log = openSync(logFile, 'a', 0o600);
  const child = spawn(process.execPath, [superviseFile, JSON.stringify(rest)], {
    detached: true,
    env,
    stdio: ['ignore', log, log, 'ipc'],
  });
  closeSync(log);
  try {
    return await waitForStart(child, logFile, onProgress);
  } finally {
    if (child.connected) child.disconnect();
    child.unref();
  }
}

function waitForStart(
  child: ChildProcess,
  logFile: string,
  onProgress: (message: string) => void,
): Promise<DetachedInstance> {
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', () => {
      const message = `The instance ended during its start. Its log says why: ${logFile}`;
      reject(new PipelineError('start-failed', message));
    });
    child.on('message', (message: SuperviseMessage) => {
      if ('progress' in message) onProgress(message.progress);
      else if ('info' in message) resolve({ started: message.owned, info: message.info });
      else reject(toError(message));
    });
  });
}

function toError({ kind, message }: { kind: string; message: string }): Error {
  return isFailureKind(kind) ? new PipelineError(kind, message) : new Error(message);
}
