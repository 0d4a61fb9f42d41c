import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { DemoSettings } from '../core/configuration.ts';
import type { ChildSpec } from './child.ts';
import type { Home } from './home.ts';
import { waitForReadyLine } from './ready-line.ts';

/** The demo of one start. */
export interface DemoOptions extends DemoSettings {
  /** How long its sources are fed; 0: its database is filled, and that is all. */
  readonly minutes: number;
}

const root = fileURLToPath(new URL('..', import.meta.url));

/**
 * Feeds the demo's sources. It has no state to save: told to stop, it is gone at once. When it is
 * killed, the next one goes on to the same end.
 */
export function createDemoSpec(
  home: Home,
  { minutes, ...demo }: DemoOptions,
  { env, onEnd }: { env: NodeJS.ProcessEnv; onEnd: () => void },
): ChildSpec {
  const logFile = join(home.logs, 'demo.log');
  const until = Date.now() + 60_000 * minutes;
  return {
    name: 'demo',
    command: [process.execPath, join(root, 'demo', 'main.ts')],
    env: { ...env, MILLRACE_DEMO: JSON.stringify({ ...demo, until }) },
    cwd: process.cwd(),
    stopSignal: 'TERM',
    graceMs: 500,
    logFile,
    readyTimeoutMs: 30_000,
    failureKind: 'start-failed',
    waitUntilReady: (start) => waitForReadyLine(logFile, start),
    onEnd,
  };
}
