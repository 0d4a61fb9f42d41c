import { existsSync } from 'node:fs';
import { embeddedDestinations } from '../../config/embedded-destinations.ts';
import { loadConfiguration, type LoadedConfiguration } from '../../config/load-configuration.ts';
import { upDetached } from '../../local/detach.ts';
import type { DemoOptions } from '../../local/demo.ts';
import { homeDirectory } from '../../local/home.ts';
import type { InstanceInfo } from '../../local/instance.ts';
import { up, type OwnedInstance, type UpOptions } from '../../local/up.ts';
import type { ConfigurationAnswer } from '../../server/contract/configuration.ts';
import type { SyncAnswer } from '../../server/contract/syncs.ts';
import { createApi, type Api } from '../api.ts';
import { applyConfiguration } from '../apply-configuration.ts';
import { demoOf } from '../demo-of.ts';
import { exitCode, VerbEnd } from '../exit-codes.ts';
import { withDestinations } from '../known-destinations.ts';
import { printJson, say } from '../print.ts';
import { printReadyBlock } from '../ready-block.ts';
import { waitForDemo } from '../wait-for-demo.ts';
import { sayOutcome, waitForSync } from '../wait-for-sync.ts';
import { waitUntilHealthy } from '../wait-until-healthy.ts';
import type { JsonFlag } from './flags.ts';

export interface UpFlags extends JsonFlag {
  readonly file?: string;
  readonly detach?: boolean;
  readonly ports: string;
  readonly demo: boolean;
}

/** What the instance is brought to, and how it is told. */
interface Intent {
  readonly loaded: LoadedConfiguration | null;
  readonly started: boolean;
  readonly flags: UpFlags;
  readonly demo: DemoOptions | undefined;
}

const defaultFile = 'millrace.yaml';
const firstSyncMs = 300_000;

/** Starts everything, applies the configuration, syncs once; stays until it is stopped. */
export async function runUp(flags: UpFlags, commands: UpOptions['commands']): Promise<number> {
  const loaded = await readConfiguration(flags);
  const options = { ...(await toOptions(flags, loaded)), ...(commands && { commands }) };
  const intent = { loaded, flags, demo: options.demo };
  if (flags.detach) {
    const { started, info } = await upDetached(options);
    await bringIn(info, { ...intent, started });
    return exitCode.ok;
  }
  const instance = await up(options);
  if (instance.owned) return runHere(instance, { ...intent, started: true });
  await bringIn(instance.info, { ...intent, started: false });
  return exitCode.ok;
}

/** A stop before everything is ready is an interruption; later it is how an instance ends. */
async function runHere(instance: OwnedInstance, intent: Intent): Promise<number> {
  let isStopping = false;
  const noteStop = () => void (isStopping = true);
  process.once('SIGINT', noteStop).once('SIGTERM', noteStop);
  const interrupted = async () => {
    await instance.stopped;
    throw new VerbEnd(exitCode.interrupted, 'stopped');
  };
  try {
    await Promise.race([bringIn(instance.info, intent), interrupted()]);
  } catch (error) {
    await instance.stop();
    if (isStopping) throw new VerbEnd(exitCode.interrupted, 'stopped');
    throw error;
  }
  await instance.stopped;
  return exitCode.ok;
}

async function readConfiguration({ file, demo }: UpFlags): Promise<LoadedConfiguration | null> {
  if (file !== undefined) return loadConfiguration(file);
  if (!demo) return null;
  if (existsSync(defaultFile)) return loadConfiguration(defaultFile);
  say(`there is no ${defaultFile} here: "npm run millrace -- init" writes one`);
  return null;
}

async function toOptions(
  { ports, file }: UpFlags,
  loaded: LoadedConfiguration | null,
): Promise<UpOptions> {
  if (ports !== 'auto' && ports !== 'default') {
    throw new VerbEnd(exitCode.usage, '--ports takes auto or default');
  }
  const options = { home: homeDirectory(), ports, onProgress: say } as const;
  if (loaded === null) return options;
  const demo = demoOf(loaded, { isNamed: file !== undefined });
  const embeddedDatabases = await embeddedDestinations(loaded.configuration);
  return { ...options, embeddedDatabases, ...(demo && { demo }) };
}

/** Configuration, first sync, and the answer on stdout. */
async function bringIn(
  info: InstanceInfo,
  { loaded, started, flags, demo }: Intent,
): Promise<void> {
  const api = await createApi(info);
  await waitUntilHealthy(info);
  const mayChange = started || flags.file !== undefined;
  const { sources, tokens } = mayChange ? await applyAndSync(api, loaded) : nothingNew;
  if (flags.json) {
    printJson({ ...(await withDestinations(info)), tokens });
    return;
  }
  if (!started) sayOwner(info);
  else if (sources.length > 0) await waitForFirstSync(api, sources);
  if (started && demo) await waitForDemo(api, demo);
  await printReadyBlock(api, tokens, started ? demo : undefined);
}

/** What an applied configuration brought. */
interface Applied {
  readonly sources: readonly string[];
  /** Of new sources that can be posted to. */
  readonly tokens: Readonly<Record<string, string>>;
}

const nothingNew: Applied = { sources: [], tokens: {} };

async function waitForFirstSync(api: Api, sources: readonly string[]): Promise<void> {
  const { settled, progress } = await waitForSync(api, sources, firstSyncMs);
  sayOutcome(progress);
  if (!settled) say('the first sync takes longer; it goes on, see "runs list"');
}

async function applyAndSync(api: Api, loaded: LoadedConfiguration | null): Promise<Applied> {
  const tokens = loaded ? (await applyConfiguration(api, loaded)).answer.tokens : {};
  if (!loaded) await sayWhatIsInForce(api);
  const { sources, delayed } = await api.post<SyncAnswer>('syncs');
  if (delayed !== null) say(`the sync begins later: ${delayed}`);
  return { sources, tokens };
}

async function sayWhatIsInForce(api: Api): Promise<void> {
  const { version } = await api.get<ConfigurationAnswer>('configuration');
  say(
    version === 0
      ? 'no configuration is applied yet: "npm run millrace -- apply" brings one in'
      : `configuration ${version}, which was applied before, stays in force`,
  );
}

function sayOwner({ pid, home, console: url, temporal, temporalUi }: InstanceInfo): void {
  say(
    `Millrace runs here already (pid ${pid}, home ${home}): ${url}, Temporal ${temporalUi ?? temporal}`,
  );
}
