import { spawn } from 'node:child_process';
import { accessSync, appendFileSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { report, secondsSince } from './progress.js';

/**
 * Runs a program to its end and keeps what it prints. Never throws for a program that fails.
 * @param {readonly string[]} command
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv, logFile?: string, stillDoing?: string }} [options]
 * @returns {Promise<{ code: number, output: string }>}
 */
export function runCommand([program, ...args], { cwd, env, logFile, stillDoing } = {}) {
  return new Promise((resolve) => {
    const child = spawn(program, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
    const stopTicking = tick(stillDoing);
    let output = '';
    const keep = (chunk) => {
      output += chunk;
      if (logFile !== undefined) appendFileSync(logFile, chunk);
    };
    child.stdout.setEncoding('utf8').on('data', keep);
    child.stderr.setEncoding('utf8').on('data', keep);
    child.on('error', (error) => finish(127, `${output}${error.message}`));
    child.on('close', (code, signal) => finish(signal === null ? (code ?? 1) : 1, output));
    function finish(code, text) {
      stopTicking();
      resolve({ code, output: text });
    }
  });
}

/** Says every half minute that a long step still runs. */
function tick(what) {
  if (what === undefined) return () => {};
  const startedAt = Date.now();
  const timer = setInterval(
    () => report(`still ${what} (${secondsSince(startedAt)})`),
    30_000,
  ).unref();
  return () => clearInterval(timer);
}

/** First executable of this name on the PATH, leaving out folders below `except`. */
export function findOnPath(name, { except, path = process.env.PATH ?? '' } = {}) {
  return path
    .split(delimiter)
    .filter((folder) => folder !== '' && (except === undefined || !folder.startsWith(except)))
    .map((folder) => join(folder, name))
    .find(isExecutable);
}

export function isExecutable(file) {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

export function lastLines(text, count) {
  return text.trimEnd().split('\n').slice(-count).join('\n');
}
