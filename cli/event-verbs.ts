import type { Command } from 'commander';
import { runEventsSend } from './verbs/events-send.ts';
import { runEventsTail } from './verbs/events-tail.ts';
import { runEventsTrace } from './verbs/events-trace.ts';

const json = ['--json', 'one JSON document on stdout'] as const;

/** `events …`: what is posted to sources, and where it is. */
export function addEventVerbs(program: Command, end: (code: number) => void): void {
  const events = program.command('events').description('single events');
  events
    .command('send <source> [file]')
    .description('post NDJSON from a file, or from stdin; safe against lost answers')
    .option('--type <type>', 'event type of all that name none of their own')
    .option('--key <key>', 'idempotency key: the same file under the same key is loaded once')
    .option(...json)
    .action(async (source: string, file: string | undefined, flags) =>
      end(await runEventsSend({ source, file: file ?? '-' }, flags)),
    );
  events
    .command('trace <id>')
    .description('where an event is')
    .option('--source <source>', 'default: look in all')
    .option(...json)
    .action(async (id: string, flags) => end(await runEventsTrace(id, flags)));
  events
    .command('tail <source>')
    .description('what comes in, as it comes, until it is stopped')
    .option('--lines <n>', 'begin with so many', '10')
    .option('--no-follow', 'end after them')
    .option('--json', 'with ids and times')
    .action(async (source: string, flags) => end(await runEventsTail(source, flags)));
}
