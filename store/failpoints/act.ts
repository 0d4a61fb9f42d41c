import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Failpoint } from '../../core/failpoints.ts';
import type { FailpointAction } from './parse-armed.ts';

/** Does to this process what a test wants; answers where only the caller is to wait. */
export function act(name: Failpoint, action: FailpointAction): Promise<void> | undefined {
  switch (action.kind) {
    case 'exit':
      process.kill(process.pid, 'SIGKILL');
      return undefined;
    case 'stop':
      if (action.ms !== null) wakeAfter(action.ms);
      process.kill(process.pid, 'SIGSTOP');
      return undefined;
    case 'delay':
      return sleep(action.ms);
    case 'throw':
      return Promise.reject(new Error(`failpoint ${name} fails, as it was told to`));
  }
}

/** Another process has to: this one stands still. */
function wakeAfter(ms: number): void {
  const script = 'sleep "$1"; kill -CONT "$2"';
  const args = ['-c', script, 'sh', String(ms / 1_000), String(process.pid)];
  spawn('sh', args, { detached: true, stdio: 'ignore' }).unref();
}
