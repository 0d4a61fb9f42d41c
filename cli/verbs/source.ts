import type { LaneAnswer, SourceAnswer, SourceCheckAnswer } from '../../server/contract/sources.ts';
import { connect } from '../api.ts';
import { exitCode } from '../exit-codes.ts';
import { printTable } from '../print-table.ts';
import { printJson, say } from '../print.ts';
import type { JsonFlag } from './flags.ts';

export async function runSourceList({ json }: JsonFlag): Promise<number> {
  const sources = await (await connect()).get<SourceAnswer[]>('sources');
  if (json) printJson(sources);
  else {
    const rows = sources.map(({ source, type, pipeline, destinations, everyMs, lanes }) => {
      const schedule = everyMs === null ? 'on sync' : `every ${everyMs / 1000} s`;
      return [source, type, pipeline, destinations.join(', '), schedule, lanes];
    });
    printTable(['source', 'type', 'pipeline', 'destinations', 'schedule', 'lanes'], rows);
  }
  return exitCode.ok;
}

export async function runSourceCheck(name: string, { json }: JsonFlag): Promise<number> {
  const path = `sources/${encodeURIComponent(name)}/check`;
  const answer = await (await connect()).post<SourceCheckAnswer>(path);
  if (json) printJson(answer);
  else for (const line of [`${name} can be read`, ...answer.notes]) say(line);
  return exitCode.ok;
}

/** What the source has now. */
export async function runSourceDiscover(name: string, { json }: JsonFlag): Promise<number> {
  const path = `sources/${encodeURIComponent(name)}/lanes`;
  const lanes = await (await connect()).get<LaneAnswer[]>(path);
  if (json) printJson(lanes);
  else if (lanes.length === 0) say(`${name} has nothing to read now: check its path`);
  else {
    const rows = lanes.map(({ lane, stream }) => [lane, stream]);
    printTable(['lane', 'stream'], rows);
  }
  return exitCode.ok;
}
