import { spawn } from 'node:child_process';
import { existsSync, realpathSync } from 'node:fs';
import { constants } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { SetUpError, runMain } from './progress.js';
import { setUp } from './set-up.js';
import { binNode, isSetUp, root } from './stamp.js';

/**
 * node scripts/run.js [--set-up] [--bin NAME | FILE] ARGUMENTS…
 * Runs a file of the project (or a tool from node_modules) on Node 24, passing on signals and exit
 * code. `--set-up` sets up first; without it a clone that is not set up is told what to do.
 */
async function main([...args]) {
  if (args[0] === '--set-up') {
    args.shift();
    await setUp();
  } else if (!isSetUp() || !existsSync(binNode())) {
    throw new SetUpError('Millrace is not set up here yet: run npm start first.');
  }
  return runOnNode24(args[0] === '--bin' ? [toolFile(args[1]), ...args.slice(2)] : fileOf(args));
}

function toolFile(name = '') {
  const link = join(root, 'node_modules', '.bin', name);
  if (name === '' || !existsSync(link))
    throw new SetUpError(`There is no tool named "${name}".`, 2);
  return realpathSync(link);
}

function fileOf([file, ...args]) {
  if (file === undefined) {
    throw new SetUpError('Usage: node scripts/run.js [--set-up] [--bin NAME | FILE] ARGUMENTS…', 2);
  }
  return [resolve(root, file), ...args];
}

function runOnNode24(args) {
  const node = binNode();
  const path = `${dirname(node)}${delimiter}${process.env.PATH ?? ''}`;
  const child = spawn(node, args, { stdio: 'inherit', env: { ...process.env, PATH: path } });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      // A terminal sends Ctrl-C to the child as well; passing it on would make two of it.
      if (!(signal === 'SIGINT' && process.stdin.isTTY)) child.kill(signal);
    });
  }
  return new Promise((finish, fail) => {
    child.on('error', fail);
    child.on('exit', (code, signal) => {
      finish(signal === null ? code : 128 + constants.signals[signal]);
    });
  });
}

await runMain(() => main(process.argv.slice(2)));
