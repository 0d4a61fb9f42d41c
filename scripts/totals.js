/** @typedef {{ passed: number, failed: number, skipped: number }} Totals */

/** @returns {Totals} */
export function emptyTotals() {
  return { passed: 0, failed: 0, skipped: 0 };
}

/** One thing that passed or failed. @param {boolean} passed @returns {Totals} */
export function countOne(passed) {
  return { passed: passed ? 1 : 0, failed: passed ? 0 : 1, skipped: 0 };
}

/** Says what does not run and why: a skip is never silent. @returns {Totals} */
export function skip(what, reason) {
  process.stdout.write(`skipped: ${what} (${reason})\n`);
  return { ...emptyTotals(), skipped: 1 };
}

/** @param {Totals} totals @param {Totals} more */
export function addTo(totals, { passed, failed, skipped }) {
  totals.passed += passed;
  totals.failed += failed;
  totals.skipped += skipped;
}

/** The one line that sums up. @param {Totals} totals */
export function describeTotals({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed${skipped === 0 ? '' : `, ${skipped} skipped`}`;
}

/** Nothing run at all is a failure too. @param {Totals} totals */
export function exitCodeOf({ passed, failed }) {
  return failed === 0 && passed > 0 ? 0 : 1;
}
