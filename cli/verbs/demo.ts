import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { homePaths } from '../../local/home.ts';
import type { ConfigurationAnswer } from '../../server/contract/configuration.ts';
import { connect, type Api } from '../api.ts';
import { DemoEvents } from '../demo-events.ts';
import { exitCode, VerbEnd } from '../exit-codes.ts';
import { printJson, say } from '../print.ts';
import { ProgressLine } from '../progress-line.ts';
import type { JsonFlag } from './flags.ts';

export interface DemoFlags extends JsonFlag {
  readonly minutes: string;
  readonly rate: string;
}

const source = 'app';
const requestsPerSecond = 10;
const answerMs = 30_000;
/** Requests between two lines, where they cannot be written over. */
const linesApart = 100;

/** Posts events to the source `app` as devices and applications would, for a while. */
export async function runDemo({ minutes, rate, json }: DemoFlags): Promise<number> {
  const seconds = 60 * readNumber('--minutes', minutes);
  const perRequest = Math.max(1, Math.round(readNumber('--rate', rate) / requestsPerSecond));
  const api = await connect();
  await requireSource(api);
  const token = (await readFile(homePaths(api.info.home).adminToken, 'utf8')).trim();
  const events = new DemoEvents(randomUUID().slice(0, 8));
  const line = new ProgressLine();
  let [posted, odd] = [0, 0];
  const startedAt = Date.now();
  for (let request = 0; request < seconds * requestsPerSecond; request += 1) {
    await sleep(Math.max(0, startedAt + (request * 1_000) / requestsPerSecond - Date.now()));
    const batch = Array.from({ length: perRequest }, () => events.next());
    await post(api, token, batch.map((event) => event.line).join('\n'));
    posted += batch.length;
    odd += batch.filter((event) => event.odd).length;
    if (process.stderr.isTTY || request % linesApart === 0) {
      line.show(`posted ${posted} events, ${odd} of them odd on purpose`);
    }
  }
  line.end();
  if (json) printJson({ posted, odd });
  else
    say(
      `posted ${posted} events, ${odd} of them odd: "failed list" shows what waits, "demo" goes on`,
    );
  return exitCode.ok;
}

function readNumber(name: string, text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && value > 0 && value < 1e6) return value;
  throw new VerbEnd(exitCode.usage, `${name} takes a number above 0`);
}

async function requireSource(api: Api): Promise<void> {
  const { sources } = await api.get<ConfigurationAnswer>('configuration');
  if (sources[source] === 'http') return;
  throw new VerbEnd(
    exitCode.failure,
    `the configuration has no source "${source}: { type: http }" to post to: the millrace.yaml of the demo has one`,
  );
}

/** A server that is busy or restarting is waited for: the ids make sending again harmless. */
async function post({ info }: Api, token: string, body: string): Promise<void> {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/x-ndjson' };
  const deadline = Date.now() + answerMs;
  for (;;) {
    const response = await fetch(`${info.ingest}/${source}`, {
      method: 'POST',
      headers,
      body,
    }).catch(() => null);
    if (response?.ok) return void (await response.arrayBuffer());
    if (Date.now() > deadline || (response && response.status < 429)) {
      const answer = response ? `answered ${response.status}` : 'does not answer';
      throw new VerbEnd(exitCode.cannotConnect, `the server ${answer}: see "status"`);
    }
    await sleep(500);
  }
}
