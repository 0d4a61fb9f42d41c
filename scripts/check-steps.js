import { availableParallelism } from 'node:os';
import { runCommand } from './commands.js';
import { secondsSince } from './progress.js';
import { root } from './stamp.js';
import { toolCommand, toolEnvironment } from './tools.js';
import { addTo, countOne, emptyTotals, skip } from './totals.js';
import { hasTests, readResults, reportSkipped, runVitest } from './vitest.js';

/** Longest first: the short ones fill the gaps that the long ones leave. */
const tools = [
  { name: 'types', tool: 'tsc', args: ['-p', '.'] },
  { name: 'lint', tool: 'oxlint', args: ['--type-aware', '--quiet'] },
  { name: 'format', tool: 'prettier', args: ['--check', '--log-level', 'warn', '.'] },
  { name: 'types of workflows', tool: 'tsc', args: ['-p', 'workflows'] },
  { name: 'directions', tool: 'depcruise', args: ['--config', '.dependency-cruiser.cjs', '.'] },
  { name: 'dead code', tool: 'knip', args: [] },
];
const quickProjects = ['unit', 'architecture', 'replay'];

/**
 * Runs every check, as many at a time as there are processors, and prints a line for each.
 * @returns {Promise<import('./totals.js').Totals>} each tool counts as one
 */
export function runChecks() {
  const toolSteps = tools.map(({ name, tool, args }) => {
    return commandStep(name, toolCommand(tool, args));
  });
  return runSteps([testStep(), ...toolSteps]);
}

/** @param {readonly Step[]} steps */
export async function runSteps(steps) {
  const waiting = [...steps];
  const totals = emptyTotals();
  const work = async () => {
    for (let step = waiting.shift(); step !== undefined; step = waiting.shift()) {
      addTo(totals, await runStep(step));
    }
  };
  await Promise.all(Array.from({ length: Math.max(2, availableParallelism()) }, work));
  return totals;
}

/**
 * @typedef {{ name: string, run: () => Promise<{ counts: import('./totals.js').Totals, output: string }> }} Step
 *
 * Runs one step and prints its line; what a failed step said follows it.
 * @param {Step} step
 */
export async function runStep({ name, run }) {
  const startedAt = Date.now();
  const { counts, output } = await run();
  const verdict = counts.failed === 0 ? 'ok    ' : 'FAILED';
  process.stdout.write(`${verdict} ${name.padEnd(20)} ${secondsSince(startedAt)}\n`);
  if (counts.failed > 0) process.stdout.write(`${output.trimEnd()}\n\n`);
  return counts;
}

/** A step that is one program: its exit code decides. @returns {Step} */
export function commandStep(name, command) {
  return {
    name,
    async run() {
      const { code, output } = await runCommand(command, { cwd: root, env: toolEnvironment() });
      return { counts: countOne(code === 0, name), output };
    },
  };
}

/** One run for all quick projects: each of them is short, starting vitest is not. */
function testStep() {
  const projects = quickProjects.filter(hasTests);
  const missing = quickProjects.filter((project) => !projects.includes(project));
  return {
    name: `tests (${projects.join(', ')})`,
    async run() {
      const { code, output, resultFile } = await runVitest('check', projects);
      const { counts, tests } = readResults(resultFile, code);
      reportSkipped(tests);
      for (const project of missing) addTo(counts, skip(`test/${project}`, 'has no tests yet'));
      return { counts, output };
    },
  };
}
