import { homeDirectory } from '../../local/home.ts';
import { readInstance, type Instance, type InstanceInfo } from '../../local/instance.ts';
import type { StatusAnswer } from '../../server/contract/status.ts';
import { createApi } from '../api.ts';
import { describeError, exitCode } from '../exit-codes.ts';
import { withDestinations } from '../known-destinations.ts';
import { print, printJson, say } from '../print.ts';
import { describeStopped } from '../wait-for-sync.ts';
import type { JsonFlag } from './flags.ts';

/** What runs in the home; `--json` prints what `up` did, without tokens, and the server's status. */
export async function runStatus({ json }: JsonFlag): Promise<number> {
  const home = homeDirectory();
  const instance = await readInstance(home);
  if (!instance?.info) return sayAbsence(home, instance, json);
  const { tokens: _secret, ...info } = await withDestinations(instance.info);
  const status = await askStatus(instance.info);
  if (json) printJson({ ...info, ...(status && { status }) });
  else {
    printInstance(info);
    if (status) printStatus(status);
  }
  return status ? exitCode.ok : exitCode.cannotConnect;
}

function sayAbsence(home: string, instance: Instance | null, json = false): number {
  if (json) printJson({ home, pid: null, phase: instance ? 'starting' : 'stopped' });
  else if (instance) say(`Millrace is still starting in ${home}`);
  else say(`no Millrace runs in ${home}: start it with npm start`);
  return exitCode.cannotConnect;
}

async function askStatus(info: InstanceInfo): Promise<StatusAnswer | null> {
  try {
    return await (await createApi(info)).get<StatusAnswer>('status');
  } catch (error) {
    say(describeError(error));
    return null;
  }
}

function printInstance({
  pid,
  home,
  console: url,
  temporal,
  temporalUi,
}: Omit<InstanceInfo, 'tokens'>) {
  print(`Millrace (pid ${pid}, home ${home})`);
  print(`  API        ${url}`);
  print(`  Temporal   ${temporalUi ?? temporal}`);
}

function printStatus(status: StatusAnswer): void {
  const { open, temporal, worker, destinations, stoppedLanes, unread, paused } = status;
  const { pending, waiting, stopped, lost, openFailures, restreaming } = open;
  print(`  version    ${status.version}, configuration ${status.configurationVersion}`);
  print(`  engine     ${temporal.message ?? temporal.state}; ${worker ? 'a' : 'no'} worker polls`);
  print(
    `  deliveries ${pending} on their way, ${waiting} waiting, ${stopped} stopped, ${lost} lost`,
  );
  print(`  failed     ${openFailures} events wait for review, ${restreaming} are being retried`);
  for (const { destination, state, message } of destinations) {
    print(`  ${destination}: ${state}${message === null ? '' : `: ${message}`}`);
  }
  for (const name of paused) print(`  ${name}: paused, "resume ${name}" lets it go on`);
  for (const reason of status.stopped) print(`  ${describeStopped(reason)}`);
  for (const { source, lane, message } of stoppedLanes) {
    print(`  ${source}/${lane} stands still: ${message}`);
  }
  for (const { source, lane, message } of unread) print(`  ${source}/${lane}: ${message}`);
}
