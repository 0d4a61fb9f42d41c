import { existsSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { failpoints, type Failpoint } from '../../core/failpoints.ts';

const names = Object.keys(failpoints) as Failpoint[];

/** Lets the worker die (or stand still) at one point, once, whenever a test asks for it. */
export interface FailpointMarkers {
  arm(name: Failpoint): Promise<void>;
  /** Whether the worker came to the armed point. */
  hasFired(name: Failpoint): boolean;
}

/** For the environment of an instance; its points stay quiet only after `quietFailpoints`. */
export function allFailpoints(action: 'exit' | 'stop'): NodeJS.ProcessEnv {
  return {
    MILLRACE_ALLOW_FAULTS: '1',
    MILLRACE_FAILPOINTS: names.map((name) => `${name}=${action}`).join(','),
  };
}

/** All are armed from the start: a marker in the home says that one has fired already. */
export async function quietFailpoints(home: string): Promise<FailpointMarkers> {
  const directory = join(home, 'failpoints');
  const marker = (name: Failpoint) => join(directory, `${name}.1`);
  await mkdir(directory);
  for (const name of names) await writeFile(marker(name), '');
  return { arm: (name) => rm(marker(name)), hasFired: (name) => existsSync(marker(name)) };
}
