import type { DiscardAnswer, RunAnswer } from '../../server/contract/runs.ts';
import { connect } from '../api.ts';
import { exitCode } from '../exit-codes.ts';
import { printTable } from '../print-table.ts';
import { print, printJson, say } from '../print.ts';
import type { JsonFlag } from './flags.ts';

export async function runRunsList(
  flags: JsonFlag & { readonly source?: string; readonly state?: string; readonly limit: string },
): Promise<number> {
  const { json, source, state, limit } = flags;
  const runs = await (await connect()).get<RunAnswer[]>('runs', { source, state, limit });
  if (json) printJson(runs);
  else {
    const rows = runs.map(
      ({ plannedAt, state: runState, source: name, stream, events, deliveries, batchId }) => [
        plannedAt,
        runState,
        `${name}${stream === null ? '' : `.${stream}`}`,
        events ?? 0,
        sum(deliveries.map(({ rowsLoaded }) => rowsLoaded)),
        sum(deliveries.map(({ rowsFailed }) => rowsFailed)),
        batchId,
      ],
    );
    printTable(['planned', 'state', 'stream', 'events', 'rows', 'failed', 'batch'], rows);
  }
  return exitCode.ok;
}

export async function runRunsShow(id: string, { json }: JsonFlag): Promise<number> {
  const run = await (await connect()).get<RunAnswer>('run', { id });
  if (json) {
    printJson(run);
    return exitCode.ok;
  }
  print(`${run.batchId}: ${run.state}`);
  print(
    `${run.source}/${run.lane}, ${run.events ?? 0} events, planned ${run.plannedAt}, settled ${run.settledAt ?? 'not yet'}`,
  );
  const rows = run.deliveries.map(
    ({ destination, state, rowsLoaded, rowsFailed, rowsDuplicate, stopMessage }) => [
      destination,
      state,
      rowsLoaded,
      rowsFailed,
      rowsDuplicate,
      stopMessage,
    ],
  );
  printTable(['destination', 'state', 'rows', 'failed', 'duplicate', 'note'], rows);
  return exitCode.ok;
}

/** Gives up what the source of a batch has lost for good. */
export async function runRunsDiscard(
  id: string,
  { json, why }: JsonFlag & { readonly why: string },
): Promise<number> {
  const answer = await (await connect()).post<DiscardAnswer>('run/discard', { id, why });
  if (json) printJson(answer);
  else {
    const { batchId, changed, events, bytes } = answer;
    const size = `${events === null ? 'never read' : `${events} events`}, ${bytes} bytes`;
    say(changed ? `${batchId} is discarded: ${size}` : `${batchId} was discarded before`);
  }
  return exitCode.ok;
}

function sum(counts: readonly number[]): number {
  return counts.reduce((total, count) => total + count, 0);
}
