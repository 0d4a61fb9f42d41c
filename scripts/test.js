import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { commandStep, runChecks, runStep } from './check-steps.js';
import { forgetMeasures, writeHeavyReport } from './heavy-report.js';
import { report, runMain } from './progress.js';
import { setUp } from './set-up.js';
import { binNode, root } from './stamp.js';
import { addTo, describeTotals, emptyTotals, exitCodeOf, skip } from './totals.js';
import { hasTests, readResults, reportSkipped, runVitest } from './vitest.js';

const projects = ['conformance', 'integration', 'workflows', 'faults', 'e2e'];
const benchFile = join('bench', 'main.ts');

/**
 * Every check and every test; with --heavy only the tests that are too heavy for every run: all, or
 * those of files that are named.
 */
async function main(args) {
  await setUp();
  const totals = emptyTotals();
  const files = args.filter((arg) => arg !== '--heavy');
  for (const run of args.includes('--heavy') ? [() => runHeavy(files)] : everything()) {
    addTo(totals, await run());
  }
  process.stdout.write(`${describeTotals(totals)}\n`);
  return exitCodeOf(totals);
}

function everything() {
  return [runChecks, ...projects.map((project) => () => runProject(project)), runBenchSmoke];
}

async function runProject(project) {
  return (await runTests(project)).counts;
}

async function runHeavy(files) {
  forgetMeasures();
  const results = await runTests('heavy', files);
  if (results.tests.length > 0) report(`result: ${await writeHeavyReport(results)}`);
  return results.counts;
}

async function runTests(project, files = []) {
  if (!hasTests(project)) return { counts: skip(`test/${project}`, 'has no tests yet'), tests: [] };
  report(`tests: ${project}`);
  const { code, resultFile } = await runVitest(project, [project], { show: true, files });
  const results = readResults(resultFile, code);
  reportSkipped(results.tests);
  return results;
}

async function runBenchSmoke() {
  if (!existsSync(join(root, benchFile))) return skip('bench smoke', 'there is no bench yet');
  return runStep(commandStep('bench smoke', [binNode(), benchFile, 'json', '--smoke']));
}

await runMain(() => main(process.argv.slice(2)));
