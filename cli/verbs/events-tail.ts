import { setTimeout as sleep } from 'node:timers/promises';
import type { TailAnswer } from '../../server/contract/traces.ts';
import { connect } from '../api.ts';
import { exitCode, VerbEnd } from '../exit-codes.ts';
import { print, printJson } from '../print.ts';
import type { JsonFlag } from './flags.ts';

export interface TailFlags extends JsonFlag {
  readonly lines: string;
  readonly follow: boolean;
}

const pauseMs = 500;
const mostLines = 1_000;

/** Prints what was received, one event a line; a terminal gets nothing that would steer it. */
export async function runEventsTail(
  source: string,
  { lines, follow, json }: TailFlags,
): Promise<number> {
  const limit = Number(lines);
  if (!Number.isInteger(limit) || limit < 1 || limit > mostLines) {
    throw new VerbEnd(exitCode.usage, `--lines takes a number from 1 to ${mostLines}`);
  }
  const api = await connect();
  const path = `sources/${encodeURIComponent(source)}/events`;
  let query: { readonly after?: number; readonly limit?: number } = { limit };
  for (;;) {
    const { next, events } = await api.get<TailAnswer>(path, query);
    for (const event of events) {
      if (json) printJson(event);
      else print(event.raw.replaceAll(/\p{Cc}/gu, ' '));
    }
    if (!follow) return exitCode.ok;
    query = { after: next };
    if (events.length === 0) await sleep(pauseMs);
  }
}
