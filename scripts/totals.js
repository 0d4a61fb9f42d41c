/**
 * `failures` names each failure and says its reason: they are printed once more at the end,
 * because whoever sees only the end of a long log needs them there.
 * @typedef {{ passed: number, failed: number, skipped: number, failures: string[] }} Totals
 */

/** @returns {Totals} */
export function emptyTotals() {
  return { passed: 0, failed: 0, skipped: 0, failures: [] };
}

/** One thing that passed or failed. @param {boolean} passed @param {string} name @returns {Totals} */
export function countOne(passed, name) {
  if (passed) return { ...emptyTotals(), passed: 1 };
  return { ...emptyTotals(), failed: 1, failures: [name] };
}

/** Says what does not run and why: a skip is never silent. @returns {Totals} */
export function skip(what, reason) {
  process.stdout.write(`skipped: ${what} (${reason})\n`);
  return { ...emptyTotals(), skipped: 1 };
}

/** @param {Totals} totals @param {Totals} more */
export function addTo(totals, { passed, failed, skipped, failures }) {
  totals.passed += passed;
  totals.failed += failed;
  totals.skipped += skipped;
  totals.failures.push(...failures);
}

/** Every failure, then the one line that sums up. @param {Totals} totals */
export function describeTotals({ passed, failed, skipped, failures }) {
  const sum = `${passed} passed, ${failed} failed${skipped === 0 ? '' : `, ${skipped} skipped`}`;
  return [...failures.map((failure) => `failed: ${failure}`), sum].join('\n');
}

/** Nothing run at all is a failure too. @param {Totals} totals */
export function exitCodeOf({ passed, failed }) {
  return failed === 0 && passed > 0 ? 0 : 1;
}
