import { existsSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { failpoints, type Failpoint } from '../../../core/failpoints.ts';
import { until } from '../../support/until.ts';
import type { Fault } from './fault.ts';

const names = Object.keys(failpoints) as Failpoint[];
/** How long somebody may take to come by. */
const patienceMs = 45_000;

/** The environment in which these faults can strike. */
export const failpointEnvironment = {
  MILLRACE_ALLOW_FAULTS: '1',
  MILLRACE_FAILPOINTS: names.map((name) => `${name}=exit`).join(','),
};

/** All points are armed from the start; this file says that one has fired already. */
const marker = (home: string, name: Failpoint) => join(home, 'failpoints', `${name}.1`);

export async function disarmFailpoints(home: string): Promise<void> {
  await mkdir(join(home, 'failpoints'), { recursive: true });
  for (const name of names) await writeFile(marker(home, name), '');
}

const needs: Partial<Record<Failpoint, Fault['needs']>> = {
  'table-changed': 'new-field',
  'restream-claimed': 'retry',
};

/** The process that comes by ends as by SIGKILL, at every point there is. */
export const failpointFaults: readonly Fault[] = names.map((name) => ({
  name: `kill at ${name}`,
  ...(needs[name] && { needs: needs[name] }),
  async strike({ instance }) {
    const file = marker(instance.urls.home, name);
    await rm(file);
    const fired = async () => existsSync(file);
    const isReached = await until(name, fired, patienceMs).catch(() => false);
    await writeFile(file, '');
    return isReached ? 1 : 0;
  },
}));
