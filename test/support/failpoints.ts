import { existsSync } from 'node:fs';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArmed } from '../../store/failpoints/parse-armed.ts';
import { until } from './until.ts';

/** A failpoint of an instance that runs, armed until it has fired or is disarmed. */
export interface ArmedPoint {
  /** Whether some process came to it for the last time that it acts on. */
  hasFired(): boolean;
  untilFired(timeoutMs?: number): Promise<void>;
  disarm(): Promise<void>;
}

let armedHere = 0;

/**
 * Arms a failpoint in the processes of a home, which allow faults (`MILLRACE_ALLOW_FAULTS=1`): from
 * the next time that one of them comes by. `text` as in `docs/reference/failpoints.md`.
 */
export async function armFailpoint(home: string, text: string): Promise<ArmedPoint> {
  const { first, times } = parseArmed(text);
  const id = `${process.pid}-${(armedHere += 1)}`;
  const folder = join(home, 'failpoints');
  await mkdir(join(folder, 'armed'), { recursive: true });
  await writeFile(join(folder, id), text);
  await rename(join(folder, id), join(folder, 'armed', id));
  const hasFired = () => existsSync(join(folder, `${id}.${first + times - 1}`));
  return {
    hasFired,
    untilFired: async (timeoutMs) =>
      void (await until(`failpoint ${text}`, async () => hasFired(), timeoutMs)),
    disarm: () => rm(join(folder, 'armed', id), { force: true }),
  };
}
