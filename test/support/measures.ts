import { appendFile, mkdir } from 'node:fs/promises';
import { dirname, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));
const measures = fileURLToPath(new URL('../../test-results/measures.ndjson', import.meta.url));

/** Notes a number that a heavy test has measured: `scripts/heavy-report.js` shows it. */
export async function noteMeasure(text: string): Promise<void> {
  process.stdout.write(`${text}\n`);
  const file = relative(root, expect.getState().testPath ?? '');
  await mkdir(dirname(measures), { recursive: true });
  await appendFile(measures, `${JSON.stringify({ file, text })}\n`);
}
