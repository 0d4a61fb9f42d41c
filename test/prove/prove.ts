import { execFile } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { TestInstance } from '../support/instance.ts';
import { mountSmallDisk } from '../support/mount-disk.ts';
import { queryAt } from '../support/postgres-server.ts';
import { until } from '../support/until.ts';
import { isEmpty, readBacklog } from './backlog.ts';
import { openJournal, type JournalWriter } from './journal.ts';
import { startNetwork } from './network.ts';
import type { Fault, Need, Stage } from './nemesis/fault.ts';
import type { PlannedFault, Round } from './nemesis/schedule.ts';
import { createOperator, type Operator } from './operator.ts';
import type { EvidenceScope } from './oracle/read-evidence.ts';
import type { Violation } from './oracle/violations.ts';
import { startWithParts } from './parts/start-with-parts.ts';
import { createRandom, type Random } from './random.ts';
import type { RoundResult } from './report.ts';
import type { SabotageName } from './sabotage/sabotages.ts';
import { configurationFor, environmentFor, tables } from './scenario.ts';
import { makeAppEvents } from './workload/app-events.ts';
import { sendEvents } from './workload/app-client.ts';
import { openShopFiles, type ShopFiles } from './workload/shop-files.ts';
import { openStoreTables, storeTables, type StoreTables } from './workload/store-tables.ts';

export interface ProofPlan {
  readonly seed: string;
  readonly rounds: readonly Round[];
  readonly faults: ReadonlyMap<string, Fault>;
  /** Gets the journal and the verdict of the oracle. */
  readonly folder: string;
  readonly say: (text: string) => void;
  readonly sabotage?: SabotageName;
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
/** Of these some are refused by the warehouse: one in fifty, otherwise one in five hundred. */
const refusable = 600;
const [oneInFifty, oneInFiveHundred] = [980, 998];
/** Each look reads whole tables. */
const lookEveryMs = 1_000;
/** No fault takes so long, unless another one took away what it waits for. */
const strikeMs = 300_000;
/** Events that flow again and again while a fault waits for its moment. */
const trickle = 60;
/** The same, of poison: three large batches in a row pause a lane. */
const poisonTrickle = 8_000;

export async function prove(plan: ProofPlan): Promise<ProofResult> {
  await mkdir(plan.folder, { recursive: true });
  const journalFile = join(plan.folder, 'journal.ndjson');
  const journal = openJournal(journalFile);
  await using archiveDisk = await mountDisk();
  await using network = await startNetwork(plan.folder, archiveDisk);
  await queryAt(network.storeUrl, storeTables);
  await using disk = await mountDisk();
  await using instance = await startWithParts({
    config: configurationFor(network),
    environment: {
      ...environmentFor(Math.max(...plan.rounds.map(({ events }) => events))),
      ...network.environment,
      ...(disk && { MILLRACE_HOME: disk.home }),
    },
    ...(plan.sabotage && { sabotage: plan.sabotage }),
  });
  const run = new Run(plan, { instance, network, disk }, journal);
  const play = async () => {
    await run.prologue();
    for (const round of plan.rounds) await run.play(round);
    await run.epilogue();
    await journal.end();
    const ask = () => askOracle({ instance, network }, plan.folder, journalFile);
    const violations = await ask();
    await plan.afterVerdict?.(instance, ask);
    return { ...run.result(), violations };
  };
  try {
    return await Promise.race([play(), ...(plan.interrupted ? [plan.interrupted] : [])]);
  } catch (error) {
    plan.say(`the proof breaks off: ${String(error)}`); // before the rest, which may take long
    throw error;
  }
}

/** Not even root can everywhere. */
export const canMount = await mayMount();
const diskSize = '3g';

async function mountDisk() {
  return canMount ? mountSmallDisk(diskSize) : null;
}

async function mayMount(): Promise<boolean> {
  if (process.getuid?.() !== 0) return false;
  try {
    await using _disk = await mountSmallDisk('1m');
    return true;
  } catch {
    return false;
  }
}

type Standing = Omit<Stage, 'random'>;

interface ShareKind {
  /** Only what every table takes. */
  readonly isClean?: boolean;
  /** Nothing that a table takes. */
  readonly isPoison?: boolean;
}

class Run {
  readonly #plan: ProofPlan;
  readonly #standing: Standing;
  readonly #instance: TestInstance;
  readonly #journal: JournalWriter;
  readonly #operator: Operator;
  readonly #files: ShopFiles;
  readonly #store: StoreTables;
  readonly #random: Random;
  readonly #newFields: string[] = [];
  readonly #rounds: RoundResult[] = [];
  readonly #stuck: string[] = [];
  readonly #notes: string[] = [];
  #appEvents = 0;
  #shares = 0;

  constructor(plan: ProofPlan, standing: Standing, journal: JournalWriter) {
    const { instance, network } = standing;
    this.#plan = plan;
    this.#standing = standing;
    this.#instance = instance;
    network.leadIntakeTo(() => instance.urls.console);
    this.#journal = journal;
    this.#operator = createOperator(instance, network);
    this.#files = openShopFiles(instance.directory, journal);
    this.#store = openStoreTables(network.storeUrl, journal);
    this.#random = createRandom(plan.seed);
  }

  async prologue(): Promise<void> {
    await this.#sendShare(0, prologueEvents, { isClean: true });
    await this.#drain('the first events');
    await this.#operator.keepLargeOut(oneInFiveHundred);
  }

  async play({ number, faults, events }: Round): Promise<void> {
    const needs = new Set(faults.map(({ name }) => this.#plan.faults.get(name)?.needs));
    if (number % newFieldEvery === 0) this.#newFields.push(`extra_${number}`);
    const hasRefused = needs.has('retry') || needs.has('refused');
    if (hasRefused) await this.#refuseSome(number);
    let isStruck = false;
    const striking = Promise.all(faults.map((fault) => this.#strike(number, fault))).finally(
      () => (isStruck = true),
    );
    await this.#sendShare(number, events, { isPoison: needs.has('poison') });
    for (let time = 1; !isStruck; time += 1) {
      await this.#provoke(number, needs, time);
      await Promise.race([striking, sleep(2_000)]);
    }
    const strikes = await striking;
    const planned = faults.map(({ name }) => name).join(' + ');
    const drainSeconds = await this.#drain(`round ${number}, ${planned}`, {
      mayPause: needs.has('poison'),
    });
    if (hasRefused) await this.#operator.keepLargeOut(oneInFiveHundred);
    this.#rounds.push({ round: number, strikes, drainSeconds });
    const times = strikes.map((strike) => strike.times).join(', ');
    this.#plan.say(
      `round ${number}: ${planned} (${times}): drained in ${drainSeconds.toFixed(1)} s`,
    );
  }

  /** Events that the warehouse refuses, and would not any more: they are there to be retried. */
  async #refuseSome(round: number): Promise<void> {
    await this.#operator.keepLargeOut(oneInFifty);
    await this.#sendShare(round, refusable, {});
    await this.#drain(`round ${round}, before its faults`);
    await this.#operator.letLargeIn();
  }

  /** A fault that waits for something finds it: events, a new field, a retry. */
  async #provoke(round: number, needs: ReadonlySet<Need | undefined>, time: number) {
    if (needs.has('new-field')) this.#newFields.push(`extra_${round}_${time}`);
    if (needs.has('retry')) await this.#note('retry', () => this.#operator.retryRefused());
    const isPoison = needs.has('poison');
    await this.#sendShare(round, isPoison ? poisonTrickle : trickle, { isPoison });
  }

  /** What the warehouse refused loads in the end, when somebody lets it. */
  async epilogue(): Promise<void> {
    await this.#operator.letLargeIn();
    const retry = async () => (await this.#operator.retryRefused(), true);
    await until('the last retries to be taken', retry); // a server that was killed may not be back
    await this.#drain('the last retries');
  }

  result(): Omit<ProofResult, 'violations'> {
    return {
      rounds: this.#rounds,
      events: this.#journal.taken,
      stuck: this.#stuck,
      notes: this.#notes,
    };
  }

  /** Half of it by applications, the rest in files and in tables. */
  async #sendShare(round: number, events: number, kind: ShareKind): Promise<void> {
    const { tokens } = this.#instance.urls;
    const random = this.#random.fork(`events ${round} ${(this.#shares += 1)}`);
    const app = Math.ceil(events * 0.5);
    const inFiles = Math.ceil(events * 0.3);
    const from = this.#appEvents;
    this.#appEvents += app;
    const shared = { newFields: [...this.#newFields], round, isClean: false, ...kind };
    await Promise.all([
      sendEvents({
        events: makeAppEvents({ from, count: app, random, ...shared }),
        round,
        random: random.fork('clients'),
        journal: this.#journal,
        patienceMs: this.#plan.sabotage ? 3_000 : 180_000, // what is broken may take in nothing more
        onRefused: (why) => {
          if (!this.#plan.sabotage) this.#stuck.push(`round ${round}: ${why}`);
        },
        target: () => ({
          url: `http://127.0.0.1:${this.#standing.network.links.intake.port}`,
          token: tokens['app'] ?? '',
        }),
      }),
      this.#files.write({ ...shared, count: inFiles, random: random.fork('files') }),
      this.#store.write({
        ...shared,
        count: events - app - inFiles,
        random: random.fork('tables'),
      }),
    ]);
  }

  async #strike(round: number, { name, afterMs }: PlannedFault) {
    await sleep(afterMs);
    const random = this.#random.fork(`strike ${round} ${name}`);
    const fault = this.#plan.faults.get(name);
    const strike = async () =>
      (await within(strikeMs, fault?.strike({ ...this.#standing, random }))) ?? 0;
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
  async #drain(what: string, { mayPause = false } = {}): Promise<number> {
    const begin = Date.now();
    const seconds = () => (Date.now() - begin) / 1_000;
    // What a sabotage has stopped does not come by waiting again.
    const isHopeless = this.#plan.sabotage !== undefined && this.#stuck.length > 0;
    const end = begin + (isHopeless ? 5_000 : (this.#plan.drainMs ?? 180_000));
    for (;;) {
      const left = await this.#findLeft(mayPause);
      if (left === null) return seconds();
      if (Date.now() > end) {
        this.#stuck.push(`${what}: ${left}`);
        this.#plan.say(`did not drain: ${what}: ${left}`);
        return seconds();
      }
      await sleep(lookEveryMs);
    }
  }

  /** What is on its way, or why that cannot be told: the catalog may still be away. */
  async #findLeft(mayPause: boolean): Promise<string | null> {
    try {
      await this.#sampleHeads();
      if (mayPause) await this.#operator.goOn();
      const backlog = await readBacklog(this.#instance, this.#files.lineCount, this.#store);
      return isEmpty(backlog) ? null : JSON.stringify(backlog);
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }

  async #sampleHeads(): Promise<void> {
    const lanes = await this.#instance.catalog<{ source: string; lane: string; head: string }>(
      'SELECT source, lane, head FROM millrace.lanes',
    );
    for (const { source, lane, head } of lanes) this.#journal.head(source, lane, head);
  }
}

/** @throws Error when it takes longer */
async function within<T>(ms: number, action: Promise<T> | undefined): Promise<T | undefined> {
  const patience = new AbortController();
  const end = sleep(ms, undefined, { signal: patience.signal }).then(() => {
    throw new Error(`not done after ${ms / 1_000} s`);
  });
  try {
    return await Promise.race([action, end]);
  } finally {
    patience.abort();
  }
}

const oracle = fileURLToPath(new URL('oracle/main.ts', import.meta.url));

/** In a process of its own, by files: it shares nothing with us but what was noted. */
async function askOracle(
  { instance: { urls }, network }: Pick<Standing, 'instance' | 'network'>,
  folder: string,
  journalFile: string,
): Promise<readonly Violation[]> {
  const scope: EvidenceScope = {
    catalogUrl: urls.catalogUrl,
    destinations: { warehouse: urls.destinations['warehouse'] ?? '', archive: network.archiveUrl },
    tables,
  };
  const [scopeFile, verdictFile] = [join(folder, 'scope.json'), join(folder, 'verdict.json')];
  await writeFile(scopeFile, JSON.stringify(scope), { mode: 0o600 });
  const memory = '--max-old-space-size=8192';
  await promisify(execFile)(process.execPath, [
    memory,
    oracle,
    journalFile,
    scopeFile,
    verdictFile,
  ]);
  return JSON.parse(await readFile(verdictFile, 'utf8')) as Violation[];
}
