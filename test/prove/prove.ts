import { execFile } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { startInstance, type TestInstance } from '../support/instance.ts';
import { isEmpty, readBacklog } from './backlog.ts';
import { openJournal, type JournalWriter } from './journal.ts';
import { disarmFailpoints, failpointEnvironment } from './nemesis/failpoint-faults.ts';
import type { Fault } from './nemesis/fault.ts';
import type { PlannedFault, Round } from './nemesis/schedule.ts';
import { createOperator, type Operator } from './operator.ts';
import type { EvidenceScope, TableScope } from './oracle/read-evidence.ts';
import type { Violation } from './oracle/violations.ts';
import { createRandom, type Random } from './random.ts';
import type { RoundResult } from './report.ts';
import { makeAppEvents } from './workload/app-events.ts';
import { sendEvents } from './workload/app-client.ts';
import { openShopFiles, type ShopFiles } from './workload/shop-files.ts';

const config = `
destinations:
  warehouse: { type: postgres }
  archive: { type: postgres }
sources:
  app: { type: http }
  shop:
    type: file
    settleSeconds: 0
    streams: { clicks: { path: clicks.ndjson }, orders: { path: orders.ndjson } }
pipelines:
  app: { source: app, destinations: [warehouse, archive] }
  shop:
    source: shop
    destinations: [warehouse, archive]
    schedule: every 2s
    streams: { orders: { key: id, version: at } }
`;

const tables: readonly TableScope[] = [
  { source: 'app', stream: 'app', table: 'app.app', write: 'append', key: 'n' },
  { source: 'app', stream: 'visits', table: 'app.visits', write: 'append', key: 'n' },
  { source: 'shop', stream: 'clicks', table: 'shop.clicks', write: 'append', key: 'n' },
  {
    source: 'shop',
    stream: 'orders',
    table: 'shop.orders',
    write: 'merge',
    key: 'id',
    version: 'at',
  },
];

const environment = {
  ...failpointEnvironment,
  MILLRACE_PATIENCE: '0.05', // heartbeats of 3 s
  MILLRACE_MAX_BATCH_BYTES: String(128 * 1024),
};

export interface ProofPlan {
  readonly seed: string;
  readonly rounds: readonly Round[];
  readonly faults: ReadonlyMap<string, Fault>;
  /** Gets the journal and the verdict of the oracle. */
  readonly folder: string;
  readonly say: (text: string) => void;
  readonly start?: (options: Parameters<typeof startInstance>[0]) => Promise<TestInstance>;
  readonly drainMs?: number;
  /** Looks on, or changes something and asks the oracle again. */
  readonly afterVerdict?: (instance: TestInstance, askAgain: AskOracle) => Promise<void>;
  /** Rejects when somebody ends us: what was started is stopped then. */
  readonly interrupted?: Promise<never>;
}

type AskOracle = () => Promise<readonly Violation[]>;

export interface ProofResult {
  readonly rounds: readonly RoundResult[];
  readonly events: number;
  readonly violations: readonly Violation[];
  readonly stuck: readonly string[];
  readonly notes: readonly string[];
}

/** Of good events only: from them the tables have their types. */
const prologueEvents = 600;
/** A new field appears in every so many rounds. */
const newFieldEvery = 5;

export async function prove(plan: ProofPlan): Promise<ProofResult> {
  await mkdir(plan.folder, { recursive: true });
  const journalFile = join(plan.folder, 'journal.ndjson');
  const journal = openJournal(journalFile);
  const start = plan.start ?? startInstance;
  await using instance = await start({ config, environment });
  const run = new Run(plan, instance, journal);
  const play = async () => {
    await run.prologue();
    for (const round of plan.rounds) await run.play(round);
    await run.epilogue();
    await journal.end();
    const ask = () => askOracle(instance, plan.folder, journalFile);
    const violations = await ask();
    await plan.afterVerdict?.(instance, ask);
    return { ...run.result(), violations };
  };
  return Promise.race([play(), ...(plan.interrupted ? [plan.interrupted] : [])]);
}

class Run {
  readonly #plan: ProofPlan;
  readonly #instance: TestInstance;
  readonly #journal: JournalWriter;
  readonly #operator: Operator;
  readonly #files: ShopFiles;
  readonly #random: Random;
  readonly #newFields: string[] = [];
  readonly #rounds: RoundResult[] = [];
  readonly #stuck: string[] = [];
  readonly #notes: string[] = [];
  #appEvents = 0;

  constructor(plan: ProofPlan, instance: TestInstance, journal: JournalWriter) {
    this.#plan = plan;
    this.#instance = instance;
    this.#journal = journal;
    this.#operator = createOperator(instance);
    this.#files = openShopFiles(instance.directory, journal);
    this.#random = createRandom(plan.seed);
  }

  async prologue(): Promise<void> {
    await disarmFailpoints(this.#instance.urls.home);
    await this.#sendShare(0, prologueEvents, true);
    await this.#drain('the first events');
    await this.#operator.keepLargeOut();
  }

  async play({ number, faults, events }: Round): Promise<void> {
    const planned = faults.map(({ name }) => name).join(' + ');
    const kinds = faults.map(({ name }) => this.#plan.faults.get(name));
    const isWanted = (need: Fault['needs']) => kinds.some((kind) => kind?.needs === need);
    if (number % newFieldEvery === 0 || isWanted('new-field')) {
      this.#newFields.push(`extra_${number}`);
    }
    if (isWanted('retry')) await this.#operator.letLargeIn();
    const flowing = this.#sendShare(number, events, false);
    const striking = Promise.all(faults.map((fault) => this.#strike(number, fault)));
    if (isWanted('retry')) await this.#note('retry', () => this.#operator.retryRefused());
    const [strikes] = await Promise.all([striking, flowing]);
    const drainSeconds = await this.#drain(`round ${number}, ${planned}`);
    if (isWanted('retry')) await this.#operator.keepLargeOut();
    this.#rounds.push({ round: number, strikes, drainSeconds });
    const times = strikes.map(({ times }) => times).join(', ');
    this.#plan.say(
      `round ${number}: ${planned} (${times}): drained in ${drainSeconds.toFixed(1)} s`,
    );
  }

  /** What the warehouse refused loads in the end, when somebody lets it. */
  async epilogue(): Promise<void> {
    await this.#operator.letLargeIn();
    await this.#operator.retryRefused();
    await this.#drain('the last retries');
  }

  result(): Omit<ProofResult, 'violations'> {
    return {
      rounds: this.#rounds,
      events: this.#appEvents + this.#files.lineCount,
      stuck: this.#stuck,
      notes: this.#notes,
    };
  }

  async #sendShare(round: number, events: number, isClean: boolean): Promise<void> {
    const { console, tokens } = this.#instance.urls;
    const random = this.#random.fork(`events ${round}`);
    const app = Math.ceil(events * 0.6);
    const from = this.#appEvents;
    this.#appEvents += app;
    const shared = { random, newFields: this.#newFields, isClean };
    await Promise.all([
      sendEvents({
        events: makeAppEvents({ from, count: app, ...shared }),
        round,
        random: random.fork('clients'),
        journal: this.#journal,
        target: () => ({ url: this.#instance.urls.console ?? console, token: tokens['app'] ?? '' }),
      }),
      this.#files.write({ count: events - app, round, ...shared, random: random.fork('files') }),
    ]);
  }

  async #strike(round: number, { name, afterMs }: PlannedFault) {
    await sleep(afterMs);
    const random = this.#random.fork(`strike ${round} ${name}`);
    const fault = this.#plan.faults.get(name);
    const strike = async () => (await fault?.strike({ instance: this.#instance, random })) ?? 0;
    return { fault: name, times: (await this.#note(`round ${round}, ${name}`, strike)) ?? 0 };
  }

  /** What fails here is no fault of the product: with two faults at once one may find nothing. */
  async #note<T>(what: string, action: () => Promise<T>): Promise<T | undefined> {
    try {
      return await action();
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      this.#notes.push(`${what}: ${text.split('\n')[0]?.slice(0, 200)}`);
      return undefined;
    }
  }

  /** Waits until all that was taken is settled, by itself; answers how long that took. */
  async #drain(what: string): Promise<number> {
    const begin = Date.now();
    const end = begin + (this.#plan.drainMs ?? 180_000);
    for (let last: unknown; ;) {
      try {
        await this.#sampleHeads();
        const backlog = await readBacklog(this.#instance, this.#files.lineCount);
        if (isEmpty(backlog)) return (Date.now() - begin) / 1_000;
        last = JSON.stringify(backlog);
      } catch (error) {
        last = error instanceof Error ? error.message : error; // the catalog may still be away
      }
      if (Date.now() > end) {
        this.#stuck.push(`${what}: ${String(last)}`);
        this.#plan.say(`did not drain: ${what}: ${String(last)}`);
        return (Date.now() - begin) / 1_000;
      }
      await sleep(200);
    }
  }

  async #sampleHeads(): Promise<void> {
    const lanes = await this.#instance.catalog<{ source: string; lane: string; head: string }>(
      'SELECT source, lane, head FROM millrace.lanes',
    );
    for (const { source, lane, head } of lanes) this.#journal.head(source, lane, head);
  }
}

const oracle = fileURLToPath(new URL('oracle/main.ts', import.meta.url));

/** In a process of its own, by files: it shares nothing with us but what was noted. */
async function askOracle(
  { urls }: TestInstance,
  folder: string,
  journalFile: string,
): Promise<readonly Violation[]> {
  const scope: EvidenceScope = {
    catalogUrl: urls.catalogUrl,
    destinations: urls.destinations,
    tables,
  };
  const [scopeFile, verdictFile] = [join(folder, 'scope.json'), join(folder, 'verdict.json')];
  await writeFile(scopeFile, JSON.stringify(scope), { mode: 0o600 });
  await promisify(execFile)(process.execPath, [oracle, journalFile, scopeFile, verdictFile]);
  return JSON.parse(await readFile(verdictFile, 'utf8')) as Violation[];
}
