import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { isPipelineError } from '../../core/errors.ts';
import { changeShop } from '../../demo/change-shop.ts';
import { postEvents, type Posted, type PostOptions } from '../../demo/post-events.ts';
import { defaultRates } from '../../demo/settings.ts';
import { homePaths } from '../../local/home.ts';
import type { ConfigurationAnswer } from '../../server/contract/configuration.ts';
import { connect, type Api } from '../api.ts';
import { exitCode, VerbEnd } from '../exit-codes.ts';
import { printJson, say } from '../print.ts';
import { ProgressLine } from '../progress-line.ts';
import type { JsonFlag } from './flags.ts';

export interface DemoFlags extends JsonFlag {
  readonly minutes: string;
  readonly rate: string;
}

const patienceMs = 30_000;
/** Events between two lines, where they cannot be written over. */
const linesApart = 20_000;

/** Goes on with the demo for a while: posts events, and changes the rows of its database. */
export async function runDemo({ minutes, rate, json }: DemoFlags): Promise<number> {
  const seconds = 60 * readNumber('--minutes', minutes);
  const eventsPerSecond = readNumber('--rate', rate);
  const api = await connect();
  const source = await requireSource(api);
  const stop = new AbortController();
  // A machine that is slower takes its time: all events are posted.
  const pace = { until: Number.POSITIVE_INFINITY, signal: stop.signal };
  const mostEvents = seconds * eventsPerSecond;
  const { demoDatabaseUrl: url } = api.info;
  const changing = url === undefined ? 0 : changeShop({ ...pace, ...defaultRates, url });
  try {
    const { posted, odd } = await post(api, source, { ...pace, eventsPerSecond, mostEvents });
    stop.abort();
    const changes = await changing;
    if (json) printJson({ posted, odd, changes });
    else say(`posted ${posted} events, ${odd} of them odd, and changed ${changes} rows`);
  } finally {
    stop.abort();
  }
  if (!json) say('"failed list" shows what waits, "demo" goes on');
  return exitCode.ok;
}

function readNumber(name: string, text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && value > 0 && value < 1e6) return value;
  throw new VerbEnd(exitCode.usage, `${name} takes a number above 0`);
}

async function requireSource(api: Api): Promise<string> {
  const { sources, demo } = await api.get<ConfigurationAnswer>('configuration');
  const { events = 'app' } = demo;
  if (sources[events] === 'http') return events;
  throw new VerbEnd(
    exitCode.failure,
    `the configuration has no source "${events}: { type: http }" to post to: the millrace.yaml of the demo has one`,
  );
}

async function post(
  { info }: Api,
  source: string,
  pace: Pick<PostOptions, 'until' | 'signal' | 'eventsPerSecond' | 'mostEvents'>,
): Promise<Posted> {
  const token = (await readFile(homePaths(info.home).adminToken, 'utf8')).trim();
  const line = new ProgressLine();
  let shown = 0;
  const onPosted = ({ posted, odd }: Posted) => {
    if (!process.stderr.isTTY && posted < shown + linesApart) return;
    shown = posted;
    line.show(`posted ${posted} events, ${odd} of them odd on purpose`);
  };
  const run = randomUUID().slice(0, 8);
  try {
    return await postEvents({
      ...pace,
      url: `${info.ingest}/${source}`,
      token,
      run,
      patienceMs,
      onPosted,
    });
  } catch (error) {
    if (!isPipelineError(error, 'source-unavailable')) throw error;
    throw new VerbEnd(exitCode.cannotConnect, error.message);
  } finally {
    line.end();
  }
}
