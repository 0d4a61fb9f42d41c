import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { installDependencies, nodeVersion } from './dependencies.js';
import { SetUpError, report, runMain } from './progress.js';
import { withLock } from './set-up-lock.js';
import { readStamp, root, stampKey, writeStamp } from './stamp.js';
import { findTemporal, isStillFound } from './temporal-cli.js';

/**
 * Brings a fresh clone to where Millrace runs: dependencies, Node 24, the libraries of the embedded
 * Postgres, Temporal. Does nothing, in well under a second, when all of it stands already.
 * Written for plain Node 20: it is what runs before Node 24 is there.
 */
export async function setUp() {
  requireNode20();
  if (isComplete()) return;
  const folder = join(root, '.millrace');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  await withLock(join(folder, 'set-up.lock'), async () => {
    if (isComplete()) return;
    report('setting up Millrace');
    const logFile = join(folder, 'set-up.log');
    rmSync(logFile, { force: true });
    await setUpDependencies(logFile);
    await setUpTemporal();
    report('set-up is complete');
  });
}

function requireNode20() {
  const major = Number(process.versions.node.split('.')[0]);
  if (major < 20) {
    throw new SetUpError(`Node ${process.versions.node} is too old. Install Node 20 or newer.`);
  }
}

const isComplete = () => hasDependencies() && isStillFound(readStamp().temporalCli);

function hasDependencies() {
  const { key, node } = readStamp();
  return key !== undefined && key === stampKey(node) && nodeVersion() === node;
}

async function setUpDependencies(logFile) {
  if (hasDependencies()) return;
  const node = await installDependencies(logFile);
  writeStamp({ key: stampKey(node), node });
}

async function setUpTemporal() {
  if (isStillFound(readStamp().temporalCli)) return;
  const temporalCli = await findTemporal();
  if (temporalCli !== null) report(`Temporal: ${temporalCli}`);
  writeStamp({ ...readStamp(), temporalCli });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await runMain(async () => {
    await setUp();
    return 0;
  });
}
