import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, join, relative } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { runCommand } from './commands.js';
import { toolCommand, toolEnvironment } from './tools.js';
import { root } from './stamp.js';
import { addTo, countOne } from './totals.js';

const resultFolder = join(root, 'test-results');
const linesOfReason = 12;

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
 * @param {{ show?: boolean, files?: readonly string[] }} [options] `show` prints as it goes instead
 *   of returning the output; `files` runs only those that are named like that
 */
export async function runVitest(name, projects, { show = false, files = [] } = {}) {
  const resultFile = join(resultFolder, `${name}.json`);
  mkdirSync(resultFolder, { recursive: true });
  rmSync(resultFile, { force: true });
  const command = toolCommand('vitest', [
    'run',
    ...files,
    ...projects.flatMap((project) => ['--project', project]),
    ...(show ? [`--maxWorkers=${filesAtOnce(projects)}`] : []),
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${resultFile}`,
  ]);
  const options = { cwd: root, env: toolEnvironment() };
  if (!show) return { ...(await runCommand(command, options)), resultFile };
  return { code: await runShown(command, options), output: '', resultFile };
}

/** These measure how long something takes, or how much memory: one file after the other. */
const measuring = ['heavy', 'integration'];

/** Tests of whole instances wait more than they work. */
function filesAtOnce(projects) {
  const alone = projects.some((project) => measuring.includes(project));
  return alone ? 1 : Math.max(2, availableParallelism() - 1);
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
 * @returns {{ counts: import('./totals.js').Totals, tests: readonly { file: string, name: string, status: string, reason: string, seconds: number }[] }}
 */
export function readResults(resultFile, exitCode) {
  const report = readReport(resultFile);
  const tests = (report?.testResults ?? []).flatMap(testsOfFile);
  const count = (...states) => tests.filter(({ status }) => states.includes(status)).length;
  const counts = {
    passed: count('passed'),
    failed: count('failed'),
    skipped: count('skipped', 'pending', 'todo', 'disabled'),
    failures: tests.filter(({ status }) => status === 'failed').map(describeFailure),
  };
  if (counts.failed === 0 && (exitCode !== 0 || report === undefined)) {
    addTo(counts, countOne(false, `${basename(resultFile)}: the run ended with ${exitCode}`));
  }
  return { counts, tests };
}

/** Name and the first lines of the reason: without colours, and without a whole diff. */
function describeFailure({ name, reason }) {
  const lines = stripVTControlCharacters(reason).split('\n').slice(0, linesOfReason);
  return [name, ...lines.map((line) => `  ${line}`)].join('\n');
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

function testsOfFile({ name: path, status, message, assertionResults }) {
  const file = relative(root, path);
  if (assertionResults.length === 0 && status === 'failed') {
    const reason = message ?? '';
    return [{ file, name: `${path} could not be run`, status: 'failed', seconds: 0, reason }];
  }
  return assertionResults.map((test) => ({
    file,
    name: test.fullName,
    status: test.status,
    reason: (test.failureMessages ?? []).join('\n'),
    seconds: (test.duration ?? 0) / 1000,
  }));
}
