import type { Command } from 'commander';
import { jsonOption as json, type JsonFlag } from './verbs/flags.ts';
import { runPause, runResume } from './verbs/pause.ts';

/** What an engineer does to a pipeline that runs. */
export function addOperateVerbs(program: Command, end: (code: number) => void): void {
  program
    .command('pause <pipeline>')
    .description('plan nothing new of it; what is planned finishes')
    .option(...json)
    .action(async (name: string, flags: JsonFlag) => end(await runPause(name, flags)));
  program
    .command('resume <pipeline>')
    .description('let a paused pipeline go on')
    .option(...json)
    .action(async (name: string, flags: JsonFlag) => end(await runResume(name, flags)));
}
