import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { runCommand } from './commands.js';
import { toolCommand, toolEnvironment } from './tools.js';
import { root } from './stamp.js';

const resultFolder = join(root, 'test-results');

/** Whether a test project has any file; `replay` and others begin empty. */
export function hasTests(project) {
  try {
    return readdirSync(join(root, 'test', project), { recursive: true }).some((file) =>
      /[.]test[.][jt]s$/.test(file),
    );
  } catch {
    return false;
  }
}

/**
 * Runs vitest projects and leaves a JSON report.
 * @param {string} name of the report
 * @param {readonly string[]} projects
 * @param {{ show?: boolean }} [options] `show` prints as it goes instead of returning the output
 */
export async function runVitest(name, projects, { show = false } = {}) {
  const resultFile = join(resultFolder, `${name}.json`);
  mkdirSync(resultFolder, { recursive: true });
  rmSync(resultFile, { force: true });
  const command = toolCommand('vitest', [
    'run',
    ...projects.flatMap((project) => ['--project', project]),
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${resultFile}`,
  ]);
  const options = { cwd: root, env: toolEnvironment() };
  if (!show) return { ...(await runCommand(command, options)), resultFile };
  return { code: await runShown(command, options), output: '', resultFile };
}

function runShown([program, ...args], options) {
  return new Promise((resolve) => {
    const child = spawn(program, args, { ...options, stdio: ['ignore', 'inherit', 'inherit'] });
    child.on('error', () => resolve(127));
    child.on('exit', (code) => resolve(code ?? 1));
  });
}

/**
 * Counts of a report. What fails without a failing test (a file that cannot be loaded, an
 * unhandled error, no report at all) counts as one failure.
 * @returns {{ counts: import('./totals.js').Totals, tests: readonly { name: string, status: string, seconds: number }[] }}
 */
export function readResults(resultFile, exitCode) {
  const report = readReport(resultFile);
  const tests = (report?.testResults ?? []).flatMap(testsOfFile);
  const count = (...states) => tests.filter(({ status }) => states.includes(status)).length;
  const counts = {
    passed: count('passed'),
    failed: count('failed'),
    skipped: count('skipped', 'pending', 'todo', 'disabled'),
  };
  if (counts.failed === 0 && (exitCode !== 0 || report === undefined)) counts.failed = 1;
  return { counts, tests };
}

/** A line for each test that did not run; its name says why. */
export function reportSkipped(tests) {
  for (const { name, status } of tests) {
    if (status !== 'passed' && status !== 'failed') process.stdout.write(`skipped: ${name}\n`);
  }
}

function readReport(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
}

function testsOfFile({ name, status, assertionResults }) {
  if (assertionResults.length === 0 && status === 'failed') {
    return [{ name: `${name} could not be run`, status: 'failed', seconds: 0 }];
  }
  return assertionResults.map((test) => ({
    name: test.fullName,
    status: test.status,
    seconds: (test.duration ?? 0) / 1000,
  }));
}
