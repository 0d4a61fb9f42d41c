import type { TableAnswer } from '../../server/contract/runs.ts';
import type { SyncAnswer } from '../../server/contract/syncs.ts';
import { connect } from '../api.ts';
import { exitCode, VerbEnd } from '../exit-codes.ts';
import { printJson, say } from '../print.ts';
import { printTables } from '../ready-block.ts';
import { sayOutcome, syncExitCode, waitForSync } from '../wait-for-sync.ts';
import type { JsonFlag } from './flags.ts';

export interface SyncFlags extends JsonFlag {
  readonly wait: boolean;
  readonly timeout?: string;
}

/** Loads what is new now; waits until it is settled. */
export async function runSync(pipelines: readonly string[], flags: SyncFlags): Promise<number> {
  const timeoutMs = readTimeout(flags.timeout);
  const api = await connect();
  const body = pipelines.length === 0 ? {} : { pipelines };
  const { sources, delayed, paused } = await api.post<SyncAnswer>('syncs', body);
  if (delayed !== null) say(`the sync begins later: ${delayed}`);
  for (const name of paused) say(`${name} is paused and left out: "resume ${name}" lets it go on`);
  if (!flags.wait) {
    if (flags.json) printJson({ sources, paused });
    return exitCode.ok;
  }
  const { settled, progress } = await waitForSync(api, sources, timeoutMs);
  const all = await api.get<TableAnswer[]>('tables');
  const tables = all.filter(({ source }) => sources.includes(source));
  const { open, stoppedLanes, stopped, unread } = progress;
  if (flags.json) {
    printJson({ sources, paused, settled, open, stoppedLanes, stopped, unread, tables });
  } else {
    printTables(tables);
    sayOutcome(progress);
  }
  if (settled) return syncExitCode(progress);
  say(`not settled after ${flags.timeout} s: it goes on, see "runs list"`);
  return exitCode.failure;
}

function readTimeout(seconds: string | undefined): number | undefined {
  if (seconds === undefined) return undefined;
  const timeoutMs = Number(seconds) * 1000;
  if (timeoutMs > 0) return timeoutMs;
  throw new VerbEnd(exitCode.usage, '--timeout takes a number of seconds');
}
