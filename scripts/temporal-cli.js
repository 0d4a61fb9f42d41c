import { accessSync, constants, existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { findOnPath, isExecutable, runCommand } from './commands.js';
import { SetUpError, report } from './progress.js';
import { buildTemporal } from './temporal-build.js';
import { downloadTemporal } from './temporal-download.js';

/** The CLI that is fetched or built, and the server inside the oldest CLI that is taken. */
export const cliVersion = '1.5.1';
const oldestServer = '1.29.1';

/**
 * Finds the program that runs Temporal on this machine: TEMPORAL_ADDRESS (none is needed) →
 * TEMPORAL_CLI → PATH → cache → download → build. A CLI named by a person has to fit; one that
 * merely lies on the PATH is passed over when it is too old.
 * @returns {Promise<string | null>} null where TEMPORAL_ADDRESS names a server
 */
export async function findTemporal(env = process.env, usualGo = '/usr/local/go/bin/go') {
  if (isSet(env.TEMPORAL_ADDRESS)) return null;
  if (isSet(env.TEMPORAL_CLI)) return requireCli(env.TEMPORAL_CLI);
  const cached = join(cacheFolder(env), 'temporal');
  return (
    (await acceptCli(findOnPath('temporal', { path: env.PATH }))) ??
    (await acceptCli(existsSync(cached) ? cached : undefined)) ??
    (await fetchCli(cached, env, usualGo))
  );
}

/** True when what an earlier set-up found still stands and nothing in `env` overrules it. */
export function isStillFound(temporalCli, env = process.env) {
  if (isSet(env.TEMPORAL_ADDRESS)) return true;
  if (isSet(env.TEMPORAL_CLI)) return temporalCli === env.TEMPORAL_CLI && isExecutable(temporalCli);
  return typeof temporalCli === 'string' && isExecutable(temporalCli);
}

function cacheFolder(env) {
  const cache = isSet(env.XDG_CACHE_HOME) ? env.XDG_CACHE_HOME : join(homedir(), '.cache');
  return join(cache, 'millrace', cliVersion);
}

const isSet = (text) => text !== undefined && text !== '';

async function requireCli(file) {
  if (!isExecutable(file)) {
    throw new SetUpError(`TEMPORAL_CLI names ${file}, which is no program. Correct or unset it.`);
  }
  const version = await serverVersion(file);
  if (isRecent(version)) return file;
  throw new SetUpError(
    `TEMPORAL_CLI names ${file}, whose server is ${version ?? 'of an unknown version'}. Millrace needs Temporal CLI ${cliVersion} or newer (server ${oldestServer}): update it, or unset TEMPORAL_CLI.`,
  );
}

async function acceptCli(file) {
  if (file === undefined) return undefined;
  const version = await serverVersion(file);
  if (isRecent(version)) return file;
  report(
    `${file} is too old (server ${version ?? 'unknown'}, needed ${oldestServer}): looking further`,
  );
  return undefined;
}

/** The server's version counts: a CLI built from source calls itself `0.0.0-DEV`. */
async function serverVersion(file) {
  const { output } = await runCommand([file, '--version']);
  return /Server (\d+\.\d+\.\d+)/.exec(output)?.[1];
}

/** @param {string | undefined} version */
export function isRecent(version, oldest = oldestServer) {
  if (version === undefined) return false;
  const [have, need] = [version, oldest].map((text) => text.split('.').map(Number));
  const differs = need.findIndex((part, index) => have[index] !== part);
  return differs === -1 || have[differs] > need[differs];
}

async function fetchCli(target, env, usualGo) {
  const download = await downloadTemporal(target, cliVersion, env);
  if (download.ok) return checkFetched(target);
  report(`download of Temporal failed (${download.reason})`);
  const build = await buildTemporal(target, cliVersion, { env, usualGo });
  if (build.ok) return checkFetched(target);
  throw new SetUpError(
    [
      'Temporal was not found on this machine and could not be fetched. One of these helps:',
      `  - connect the machine to the internet (download: ${download.reason})`,
      `  - install Go 1.25 or newer, and set-up builds Temporal (${build.reason})`,
      `  - install the Temporal CLI ${cliVersion} or newer, on the PATH or named in TEMPORAL_CLI`,
      '  - name a running server in TEMPORAL_ADDRESS',
    ].join('\n'),
    download.network || build.network ? 4 : 1,
  );
}

async function checkFetched(file) {
  accessSync(file, constants.X_OK);
  if (isRecent(await serverVersion(file))) return file;
  throw new SetUpError(`${file} does not run on this machine. Delete it and run npm start again.`);
}
