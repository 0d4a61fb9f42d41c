import type { PauseAnswer } from '../../server/contract/pipelines.ts';
import { connect } from '../api.ts';
import { exitCode } from '../exit-codes.ts';
import { printJson, say } from '../print.ts';
import type { JsonFlag } from './flags.ts';

/** Nothing new of the pipeline is planned until `resume`. */
export async function runPause(pipeline: string, { json }: JsonFlag): Promise<number> {
  const answer = await change(pipeline, 'pause');
  if (json) printJson(answer);
  else {
    const { changed, open } = answer;
    const rest = open === 0 ? 'nothing is on its way' : `${open} deliveries on their way finish`;
    say(`${pipeline} is paused${changed ? '' : ' already'}: nothing new is planned, ${rest}`);
    sayDelay(answer);
  }
  return exitCode.ok;
}

/** The pipeline goes on where it stopped, at once. */
export async function runResume(pipeline: string, { json }: JsonFlag): Promise<number> {
  const answer = await change(pipeline, 'resume');
  if (json) printJson(answer);
  else {
    say(answer.changed ? `${pipeline} goes on: a sync begins` : `${pipeline} was not paused`);
    sayDelay(answer);
  }
  return exitCode.ok;
}

async function change(pipeline: string, what: 'pause' | 'resume'): Promise<PauseAnswer> {
  const path = `pipelines/${encodeURIComponent(pipeline)}/${what}`;
  return (await connect()).post<PauseAnswer>(path);
}

function sayDelay({ delayed }: PauseAnswer): void {
  if (delayed !== null) say(`its schedule follows later: ${delayed}`);
}
