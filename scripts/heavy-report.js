import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import { join } from 'node:path';
import { runCommand } from './commands.js';
import { readStamp, root } from './stamp.js';
import { toolCommand } from './tools.js';
import { describeTotals } from './totals.js';

const file = join('docs', 'heavy-tests.md');
/** Tests append what they have measured (`test/support/measures.ts`). */
const measuresFile = join(root, 'test-results', 'measures.txt');

export function forgetMeasures() {
  rmSync(measuresFile, { force: true });
}

/** Writes the last result: what ran, when, on what, how it ended. Returns the path. */
export async function writeHeavyReport({ counts, tests }, now = new Date()) {
  const date = now.toISOString().slice(0, 10);
  mkdirSync(join(root, 'docs'), { recursive: true });
  writeFileSync(join(root, file), render(date, counts, tests));
  await runCommand(toolCommand('prettier', ['--write', file]), { cwd: root });
  return file;
}

function render(date, counts, tests) {
  const memory = Math.round(totalmem() / 2 ** 30);
  return [
    `# Heavy tests, ${date}`,
    '',
    `Commit ${commit()}, Node ${readStamp().node}, ${process.platform}-${process.arch}, ${availableParallelism()} processors, ${memory} GiB. Run by \`npm run test:heavy\`.`,
    '',
    `${describeTotals(counts)}.`,
    '',
    ...tests.map(({ name, status, seconds }) => `- ${status}, ${seconds.toFixed(1)} s: ${name}`),
    '',
    ...renderMeasures(),
  ].join('\n');
}

function renderMeasures() {
  const lines = readMeasures();
  return lines.length === 0 ? [] : ['Measured:', '', ...lines.map((line) => `- ${line}`), ''];
}

function readMeasures() {
  try {
    return readFileSync(measuresFile, 'utf8').trimEnd().split('\n');
  } catch {
    return [];
  }
}

function commit() {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], {
      cwd: root,
      encoding: 'utf8',
    }).trim();
  } catch {
    return 'unknown';
  }
}
