import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import { join } from 'node:path';
import { runCommand } from './commands.js';
import { readStamp, root } from './stamp.js';
import { toolCommand } from './tools.js';

const report = join('docs', 'heavy-tests.md');
/** Tests append what they have measured, and in which file (`test/support/measures.ts`). */
const measuresFile = join(root, 'test-results', 'measures.ndjson');

const introduction = `# Heavy tests

The last result of each file: \`npm run test:heavy\` runs all of them, \`npm run test:heavy -- memory\`
those that are named like that.
`;

export function forgetMeasures() {
  rmSync(measuresFile, { force: true });
}

/**
 * Writes what ran, when, on what, how it ended, one section for each test file. Sections of files
 * that did not run now stay. Returns the path.
 */
export async function writeHeavyReport({ tests }, now = new Date()) {
  mkdirSync(join(root, 'docs'), { recursive: true });
  const sections = readSections();
  const measures = readMeasures();
  for (const file of new Set(tests.map((test) => test.file))) {
    const ofFile = (entry) => entry.file === file;
    const about = { file, tests: tests.filter(ofFile), measured: measures.filter(ofFile), now };
    sections.set(file, renderSection(about));
  }
  const sorted = [...sections.entries()]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([, text]) => text);
  writeFileSync(join(root, report), [introduction, ...sorted].join('\n'));
  await runCommand(toolCommand('prettier', ['--write', report]), { cwd: root });
  return report;
}

/** By the file that each is about. */
function readSections() {
  const [, ...sections] = readText(join(root, report)).split(/^(?=## )/m);
  return new Map(sections.map((text) => [/^## (.*)$/m.exec(text)[1], text]));
}

function renderSection({ file, tests, measured, now }) {
  const passed = tests.filter(({ status }) => status === 'passed').length;
  const failed = tests.filter(({ status }) => status === 'failed').length;
  const skipped = tests.length - passed - failed;
  return [
    `## ${file}`,
    '',
    `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}: ${describeRun(now)}.`,
    '',
    ...tests.map(({ name, status, seconds }) => `- ${status}, ${seconds.toFixed(1)} s: ${name}`),
    ...(measured.length > 0 ? ['', 'Measured:', ''] : []),
    ...measured.map(({ text }) => `- ${text}`),
    '',
  ].join('\n');
}

function describeRun(now) {
  const memory = Math.round(totalmem() / 2 ** 30);
  const machine = `${process.platform}-${process.arch}, ${availableParallelism()} processors, ${memory} GiB`;
  return `${now.toISOString().slice(0, 10)}, commit ${commit()}, Node ${readStamp().node}, ${machine}`;
}

function readMeasures() {
  const lines = readText(measuresFile).split('\n').filter(Boolean);
  return lines.map((line) => JSON.parse(line));
}

function readText(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

function commit() {
  try {
    const options = { cwd: root, encoding: 'utf8' };
    return execFileSync('git', ['describe', '--always', '--dirty'], options).trim();
  } catch {
    return 'unknown';
  }
}
