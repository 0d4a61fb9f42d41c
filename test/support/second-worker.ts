import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';

/** Another worker for the instance of one that runs: the same command, the same environment. Linux only. */
export async function startSecondWorker(workerPid: number): Promise<AsyncDisposable> {
  const [program = '', ...args] = partsOf(workerPid, 'cmdline');
  const child = spawn(program, args, {
    env: environmentOf(workerPid),
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const ended = once(child, 'exit');
  const end = () => child.kill('SIGKILL');
  process.once('exit', end); // whoever ends us leaves nothing behind
  const failed = ended.then(([code]) => Promise.reject(new Error(`it ended with ${code}`)));
  await Promise.race([once(child.stdout, 'data'), failed]); // it says when it is ready
  return {
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM');
      // Without Temporal it waits for ever to say goodbye.
      const patience = setTimeout(end, 20_000);
      await ended;
      clearTimeout(patience);
      process.off('exit', end);
    },
  };
}

function environmentOf(pid: number): NodeJS.ProcessEnv {
  const entries = partsOf(pid, 'environ').filter(Boolean);
  return Object.fromEntries(
    entries.map((entry) => {
      const equals = entry.indexOf('=');
      return [entry.slice(0, equals), entry.slice(equals + 1)];
    }),
  );
}

/** Each ends with a zero byte, and may be empty. */
function partsOf(pid: number, file: 'cmdline' | 'environ'): readonly string[] {
  return readFileSync(`/proc/${pid}/${file}`, 'utf8').split('\0').slice(0, -1);
}
