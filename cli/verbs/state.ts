import type { SetStateAnswer, StateAnswer } from '../../server/contract/states.ts';
import { connect } from '../api.ts';
import { exitCode } from '../exit-codes.ts';
import { printTable } from '../print-table.ts';
import { printJson, say } from '../print.ts';
import type { JsonFlag } from './flags.ts';

/** Where every lane of a source stands. */
export async function runStateShow(source: string, { json }: JsonFlag): Promise<number> {
  const answer = await (await connect()).get<StateAnswer>(pathOf(source));
  if (json) {
    printJson(answer);
    return exitCode.ok;
  }
  if (answer.paused) say(`the pipeline of ${source} is paused`);
  if (answer.lanes.length === 0) say(`nothing of ${source} was planned yet`);
  const rows = answer.lanes.map((lane) => [
    lane.lane,
    lane.stream,
    lane.state,
    lane.head,
    lane.settledHead,
    lane.openBatches,
    lane.stopMessage,
  ]);
  const headings = ['lane', 'stream', 'state', 'planned to', 'settled to', 'open', 'note'];
  if (rows.length > 0) printTable(headings, rows);
  return exitCode.ok;
}

const effects = {
  skipped: 'what lies between the two is skipped',
  read: 'what lies between the two, skipped before, is read',
  nothing: 'it stood there already',
} as const;

/** Moves the head of a lane that stands still. */
export async function runStateSet(
  { source, lane, position }: Readonly<Record<'source' | 'lane' | 'position', string>>,
  { json }: JsonFlag,
): Promise<number> {
  const answer = await (await connect()).put<SetStateAnswer>(pathOf(source), { lane, position });
  if (json) printJson(answer);
  else say(`${lane} goes on at ${answer.to} (was ${answer.from}): ${effects[answer.between]}`);
  return exitCode.ok;
}

function pathOf(source: string): string {
  return `sources/${encodeURIComponent(source)}/state`;
}
