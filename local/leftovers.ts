import {
  isAlive,
  membersOf,
  signalGroup,
  signalProcess,
  waitUntil,
  type ProcessRef,
} from './processes.ts';
import { farewell } from './temporal.ts';

const graceMs = 3_000;
const postgresGraceMs = 10_000;

/**
 * Ends what a killed supervisor left running. Their life-lines are ending them already, but
 * Temporal takes long and a stopped process never ends.
 * @param children life-line wrappers by name, as the state of the home has them
 * @returns the names of those that were still there
 */
export async function endLeftovers(
  home: string,
  children: Readonly<Record<string, ProcessRef>>,
): Promise<readonly string[]> {
  const left = Object.entries(children).filter(
    ([, wrapper]) => isAlive(wrapper) || membersOf(wrapper.pid, home).length > 0,
  );
  const end = async (which: (name: string) => boolean): Promise<void> => {
    const chosen = left.filter(([name]) => which(name));
    await Promise.all(
      chosen.map(([name, wrapper]) =>
        endGroup(home, wrapper, name === 'Postgres' ? postgresGraceMs : graceMs),
      ),
    );
  };
  const others = end((name) => name !== 'Temporal');
  await Promise.all([others, farewell(others).then(() => end((name) => name === 'Temporal'))]);
  return left.map(([name]) => name);
}

async function endGroup(home: string, wrapper: ProcessRef, timeoutMs: number): Promise<void> {
  const isGone = (): boolean => !isAlive(wrapper) && membersOf(wrapper.pid, home).length === 0;
  if (isAlive(wrapper)) signalProcess(wrapper.pid, 'SIGTERM');
  else for (const pid of membersOf(wrapper.pid, home)) signalProcess(pid, 'SIGTERM');
  if (await waitUntil(isGone, timeoutMs)) return;
  if (isAlive(wrapper)) signalGroup(wrapper.pid, 'SIGKILL');
  for (const pid of membersOf(wrapper.pid, home)) signalProcess(pid, 'SIGKILL');
  await waitUntil(isGone, graceMs);
}
