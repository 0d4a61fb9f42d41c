import type { Command } from 'commander';
import { runBackfill, runResync, type BackfillFlags } from './verbs/backfill.ts';
import { jsonOption as json, type JsonFlag } from './verbs/flags.ts';
import { runPause, runResume } from './verbs/pause.ts';
import { runPreview } from './verbs/preview.ts';
import * as state from './verbs/state.ts';

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
  addBackfillVerbs(program, end);
  addLookVerbs(program, end);
}

function addBackfillVerbs(program: Command, end: (code: number) => void): void {
  program
    .command('backfill <pipeline>')
    .description('read a part of its source again; loads only what is absent, or newer')
    .requiredOption('--stream <stream>', 'the stream to read again')
    .option('--lane <lane>', 'only this lane (source discover lists them)')
    .option('--from <place>', 'a position, or a time where the source knows times')
    .option('--to <place>', 'the same; default: the settled end')
    .option('--concurrency <n>', 'batches at once into one destination, 1 to 16', '2')
    .option('--id <name>', 'the same name again joins the first request')
    .option('--no-wait', 'only ask for it')
    .option(...json)
    .action(async (name: string, flags: BackfillFlags) => end(await runBackfill(name, flags)));
  program
    .command('resync <pipeline>')
    .description('read everything of its source again')
    .option('--stream <stream>', 'only this stream')
    .option('--no-wait', 'only ask for it')
    .option(...json)
    .action(async (name: string, flags: BackfillFlags) => end(await runResync(name, flags)));
}

function addLookVerbs(program: Command, end: (code: number) => void): void {
  const lanes = program.command('state').description('where the lanes of a source stand');
  lanes
    .command('show <source>')
    .option(...json)
    .action(async (name: string, flags: JsonFlag) => end(await state.runStateShow(name, flags)));
  lanes
    .command('set <source> <lane> <position>')
    .description('move a lane that stands still; data in between is skipped, or read')
    .option(...json)
    .action(async (source: string, lane: string, position: string, flags: JsonFlag) =>
      end(await state.runStateSet({ source, lane, position }, flags)),
    );
  program
    .command('preview <source> [stream]')
    .description('mapping, DDL and a few rows that it would become; writes nothing')
    .option('--rows <n>', 'sample rows, up to 50', '5')
    .option(...json)
    .action(async (source: string, stream: string | undefined, flags) =>
      end(await runPreview({ source, stream }, flags)),
    );
}
