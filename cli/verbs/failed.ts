import { setTimeout as sleep } from 'node:timers/promises';
import type { GroupAnswer, GroupDetailAnswer, RetryAnswer } from '../../server/contract/failed.ts';
import { connect, type Api } from '../api.ts';
import { exitCode, VerbEnd } from '../exit-codes.ts';
import { printTable } from '../print-table.ts';
import { print, printJson, say } from '../print.ts';
import type { JsonFlag } from './flags.ts';

export interface ListFlags extends JsonFlag {
  readonly source?: string;
  readonly stream?: string;
  readonly all?: boolean;
}

const shortId = 8;

export async function runFailedList({ json, source, stream, all }: ListFlags): Promise<number> {
  const query = { source, stream, state: all ? 'all' : 'open' };
  const groups = await (await connect()).get<GroupAnswer[]>('failed/groups', query);
  if (json) printJson(groups);
  else if (groups.length === 0) say('no failed events wait for review');
  else {
    const rows = groups.map(({ groupId, openCount, title, state, ...group }) => [
      groupId.slice(0, shortId),
      openCount,
      `${group.source}.${group.stream}`,
      group.destination,
      state,
      title,
    ]);
    printTable(['group', 'events', 'stream', 'destination', 'state', 'what is wrong'], rows);
  }
  return exitCode.ok;
}

export async function runFailedShow(
  id: string,
  { json, raw, limit }: JsonFlag & { readonly raw?: boolean; readonly limit: string },
): Promise<number> {
  const query = { limit, raw: raw ? '1' : undefined };
  const path = `failed/groups/${encodeURIComponent(id)}`;
  const detail = await (await connect()).get<GroupDetailAnswer>(path, query);
  if (json) printJson(detail);
  else printDetail(detail);
  return exitCode.ok;
}

function printDetail({ group, advice, events }: GroupDetailAnswer): void {
  const { groupId, title, source, stream, destination, state, openCount, totalCount } = group;
  print(`${groupId}  ${title}`);
  print(
    `${source}.${stream} → ${destination}, ${state}: ${openCount} of ${totalCount} events wait`,
  );
  print(
    `stage ${group.stage}, kind ${group.kind}, first ${group.firstFailedAt}, last ${group.lastFailedAt}`,
  );
  print(advice);
  print('');
  const rows = events.map(({ state: eventState, fileName, lineNumber, message, attempts }) => [
    eventState,
    attempts,
    fileName === null ? '' : `${fileName}${lineNumber === null ? '' : `:${lineNumber}`}`,
    message,
  ]);
  printTable(['state', 'attempts', 'where', 'what is wrong'], rows);
  for (const { raw } of events) if (raw !== undefined) printRaw(Buffer.from(raw, 'base64'));
}

/** Byte for byte into a file or pipe; a terminal gets nothing that would steer it. */
function printRaw(raw: Buffer): void {
  if (process.stdout.isTTY) print(raw.toString().replaceAll(/\p{Cc}/gu, '\ufffd'));
  else process.stdout.write(Buffer.concat([raw, Buffer.from('\n')]));
}

const patienceMs = 600_000;
const pauseMs = 200;

/** Sends the open events of a group through again; by default until they are through. */
export async function runFailedRetry(
  id: string,
  { json, wait }: JsonFlag & { readonly wait: boolean },
): Promise<number> {
  const api = await connect();
  const before = await readGroup(api, id);
  const path = `failed/groups/${encodeURIComponent(before.groupId)}/retry`;
  const { groupId, open, delayed } = await api.post<RetryAnswer>(path);
  if (delayed !== null) say(`it is asked for and begins later: ${delayed}`);
  if (open === 0 || !wait) {
    if (json) printJson({ groupId, retried: open });
    else say(open === 0 ? 'no event of this group waits' : `${open} events are on their way`);
    return exitCode.ok;
  }
  const after = await waitForRetry(api, before);
  if (after === null) {
    throw new VerbEnd(exitCode.failure, 'the retry is not through yet: it goes on, see "status"');
  }
  const stillOpen = after.openCount;
  const leftGroup = Math.max(0, open - stillOpen);
  if (json) printJson({ groupId, retried: open, leftGroup, stillOpen });
  else say(`${leftGroup} of ${open} events left the group, ${stillOpen} wait in it`);
  return stillOpen > 0 ? exitCode.failedEvents : exitCode.ok;
}

async function readGroup(api: Api, id: string): Promise<GroupAnswer> {
  const path = `failed/groups/${encodeURIComponent(id)}`;
  return (await api.get<GroupDetailAnswer>(path, { limit: 1 })).group;
}

/** Until the events were claimed and came back, in whatever group. Null: it takes too long. */
async function waitForRetry(api: Api, before: GroupAnswer): Promise<GroupAnswer | null> {
  const deadline = Date.now() + patienceMs;
  let wasClaimed = false;
  while (Date.now() < deadline) {
    const now = await readGroup(api, before.groupId);
    wasClaimed ||= now.restreamingCount > 0 || now.openCount < before.openCount;
    const cameBack = wasClaimed || now.lastFailedAt !== before.lastFailedAt;
    if (cameBack && now.restreamingCount === 0) return now;
    await sleep(pauseMs);
  }
  return null;
}
