import { Command } from 'commander';
import { addEventVerbs } from './event-verbs.ts';
import { exitCode } from './exit-codes.ts';
import { addOperateVerbs } from './operate-verbs.ts';
import { print, printJson } from './print.ts';
import { runApply } from './verbs/apply.ts';
import { runDemo, type DemoFlags } from './verbs/demo.ts';
import * as destination from './verbs/destination.ts';
import { runDoctor } from './verbs/doctor.ts';
import { runDown } from './verbs/down.ts';
import * as failed from './verbs/failed.ts';
import { jsonOption as json, type FileFlag, type JsonFlag } from './verbs/flags.ts';
import { runInit } from './verbs/init.ts';
import * as mapping from './verbs/mapping.ts';
import { runRecover, type RecoverFlags } from './verbs/recover.ts';
import * as runs from './verbs/runs.ts';
import * as source from './verbs/source.ts';
import { runStatus } from './verbs/status.ts';
import { runSync } from './verbs/sync.ts';
import * as token from './verbs/token.ts';
import { runUp, type UpFlags } from './verbs/up.ts';
import type { UpOptions } from '../local/up.ts';
import { runValidate } from './verbs/validate.ts';
import { version } from '../config/version.ts';

type End = (code: number) => void;

/**
 * All verbs. `end` is told the exit code of the one that ran. `commands`: what runs in place of our
 * own server and worker.
 */
export function createProgram(end: End, commands?: UpOptions['commands']): Command {
  const program = new Command('millrace')
    .description('Loads data into typed warehouse tables, exactly once')
    .exitOverride()
    .configureHelp({ showGlobalOptions: true })
    .showHelpAfterError('(add --help for what can be said here)');
  program.hook('preAction', (_, verb) => {
    if (!stopsByItself(verb)) process.once('SIGINT', () => process.exit(exitCode.interrupted));
  });
  addInstanceVerbs(program, end, commands);
  addDataVerbs(program, end);
  addRecoverVerb(program, end);
  addOperateVerbs(program, end);
  addConnectionVerbs(program, end);
  addEventVerbs(program, end);
  addReviewVerbs(program, end);
  return program;
}

/** A foreground `up` stops its instance before it ends. */
function stopsByItself(verb: Command): boolean {
  return verb.name() === 'up' && verb.opts<UpFlags>().detach !== true;
}

const file = ['-f, --file <file>', 'configuration', 'millrace.yaml'] as const;

function addRecoverVerb(program: Command, end: End): void {
  program
    .command('recover')
    .description('bring catalog and warehouses in step after a backup was restored')
    .option('--source <source>', 'only this one')
    .option('--destination <destination>', 'compare with this one only')
    .option('--adopt', 'take over tables that another installation loaded')
    .option('--dry-run', 'say what would be done')
    .option(...json)
    .action(async (flags: RecoverFlags) => end(await runRecover(flags)));
}

function addInstanceVerbs(program: Command, end: End, commands: UpOptions['commands']): void {
  program
    .command('up')
    .description('start everything here; stays until it is stopped')
    .option('-f, --file <file>', 'configuration (default: millrace.yaml, if it is here)')
    .option('--detach', 'return when everything is ready')
    .option('--ports <choice>', 'default, or auto for free ones', 'default')
    .option('--no-demo', 'apply no configuration')
    .option(...json)
    .action(async (flags: UpFlags) => end(await runUp(flags, commands)));
  program
    .command('down')
    .description('stop what runs in the home')
    .option(...json)
    .action(async (flags: JsonFlag) => end(await runDown(flags)));
  program
    .command('status')
    .description('what runs here and how it is')
    .option(...json)
    .action(async (flags: JsonFlag) => end(await runStatus(flags)));
  program
    .command('doctor')
    .description('look for what could go wrong')
    .option(...json)
    .action(async (flags: JsonFlag) => end(await runDoctor(flags)));
  program
    .command('demo')
    .description(
      'go on with the demo: post events, some of them odd, and change rows of its database',
    )
    .option('--minutes <n>', 'for so long', '10')
    .option('--rate <n>', 'events a second', '200')
    .option(...json)
    .action(async (flags: DemoFlags) => end(await runDemo(flags)));
  program
    .command('version')
    .description('version of Millrace')
    .option(...json)
    .action((flags: JsonFlag) => {
      if (flags.json) printJson({ version });
      else print(version);
      end(exitCode.ok);
    });
}

function addDataVerbs(program: Command, end: End): void {
  program
    .command('init [folder]')
    .description('write a millrace.yaml to begin with')
    .option(...json)
    .action(async (folder: string | undefined, flags: JsonFlag) =>
      end(await runInit(folder ?? '.', flags)),
    );
  program
    .command('validate')
    .description('check a configuration')
    .option(...file)
    .option('--schema', 'print the JSON Schema of the file instead')
    .option(...json)
    .action(async (flags: FileFlag) => end(await runValidate(flags)));
  program
    .command('apply')
    .description('put a configuration into force')
    .option(...file)
    .option(...json)
    .action(async (flags: FileFlag) => end(await runApply(flags)));
  program
    .command('sync [pipeline...]')
    .description('load what is new; waits until it is settled')
    .option('--no-wait', 'only ask for it')
    .option('--timeout <seconds>', 'wait no longer')
    .option(...json)
    .action(async (pipelines: string[], flags) => end(await runSync(pipelines, flags)));
  const list = program.command('runs').description('batches');
  list
    .command('list')
    .description('newest batches')
    .option('--source <source>')
    .option('--state <state>', 'open, settled or lost')
    .option('--limit <n>', 'at most so many', '20')
    .option(...json)
    .action(async (flags) => end(await runs.runRunsList(flags)));
  list
    .command('show <batch>')
    .option(...json)
    .action(async (id: string, flags) => end(await runs.runRunsShow(id, flags)));
  list
    .command('discard <batch>')
    .description('give up what its source has lost for good')
    .requiredOption('--why <text>', 'the reason, for the audit')
    .option(...json)
    .action(async (id: string, flags) => end(await runs.runRunsDiscard(id, flags)));
}

function addConnectionVerbs(program: Command, end: End): void {
  const from = program.command('source').description('where data comes from');
  from
    .command('list')
    .option(...json)
    .action(async (flags) => end(await source.runSourceList(flags)));
  from
    .command('check <source>')
    .option(...json)
    .action(async (name: string, flags) => end(await source.runSourceCheck(name, flags)));
  from
    .command('discover <source>')
    .option(...json)
    .action(async (name: string, flags) => end(await source.runSourceDiscover(name, flags)));
  addTokenVerbs(from.command('token').description('who may post to a source'), end);
  const to = program.command('destination').description('where data goes');
  to.command('list')
    .option(...json)
    .action(async (flags) => end(await destination.runDestinationList(flags)));
  to.command('check <destination>')
    .option(...json)
    .action(async (name: string, flags) => end(await destination.runDestinationCheck(name, flags)));
}

function addTokenVerbs(of: Command, end: End): void {
  of.command('list <source>')
    .option(...json)
    .action(async (name: string, flags) => end(await token.runTokenList(name, flags)));
  of.command('rotate <source>')
    .description('give it another token, shown once')
    .option('--overlap <time>', 'those before it stay valid for so long: 0, 30m, 24h …', '24h')
    .option(...json)
    .action(async (name: string, flags) => end(await token.runTokenRotate(name, flags)));
  of.command('revoke <source> [token]')
    .description('end one token at once, or all of the source')
    .option(...json)
    .action(async (name: string, id: string | undefined, flags) =>
      end(await token.runTokenRevoke(name, id, flags)),
    );
}

function addReviewVerbs(program: Command, end: End): void {
  const map = program.command('mapping').description('fields → columns');
  map
    .command('show [source] [stream]')
    .option(...json)
    .action(async (source: string | undefined, stream: string | undefined, flags) =>
      end(await mapping.runMappingShow({ source, stream }, flags)),
    );
  map
    .command('set <source> <stream> <field>')
    .description('choose the type of a field')
    .requiredOption(
      '--type <type>',
      'boolean, int64, decimal, date, timestamp, timestamptz, uuid, text, json',
    )
    .option('--destination <destination>', 'default: all of the stream')
    .option(...json)
    .action(async (source: string, stream: string, field: string, flags) =>
      end(await mapping.runMappingSet({ source, stream, field }, flags)),
    );
  const review = program.command('failed').description('failed events');
  review
    .command('list')
    .option('--source <source>')
    .option('--stream <stream>')
    .option('--all', 'resolved ones too')
    .option(...json)
    .action(async (flags) => end(await failed.runFailedList(flags)));
  review
    .command('show <group>')
    .option('--raw', 'the original bytes too')
    .option('--limit <n>', 'at most so many events', '20')
    .option(...json)
    .action(async (id: string, flags) => end(await failed.runFailedShow(id, flags)));
  review
    .command('retry <group>')
    .description('send its events through again')
    .option('--no-wait', 'only ask for it')
    .option(...json)
    .action(async (id: string, flags) => end(await failed.runFailedRetry(id, flags)));
}
