import { homePaths } from './home.ts';
import { readState } from './instance.ts';
import { endLeftovers } from './leftovers.ts';
import { readOwner } from './owner-lock.ts';
import { endLeftoverPostgres } from './postgres.ts';
import { isAlive, signalProcess, waitUntil } from './processes.ts';

const politeMs = 10_000;

/**
 * Stops the instance that owns a home, and whatever a killed one left running.
 * @returns whether anything ran
 */
export async function down(home: string): Promise<boolean> {
  const owner = await readOwner(homePaths(home));
  if (owner !== null) {
    signalProcess(owner.pid, 'SIGTERM');
    if (!(await waitUntil(() => !isAlive(owner), politeMs))) {
      signalProcess(owner.pid, 'SIGKILL');
      await waitUntil(() => !isAlive(owner), politeMs);
    }
  }
  const { children = {}, postgresData } = await readState(home);
  const ended = await endLeftovers(home, children);
  if (postgresData !== undefined) await endLeftoverPostgres(postgresData);
  return owner !== null || ended.length > 0;
}
