import { appendFile, mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

const file = fileURLToPath(new URL('../../test-results/measures.txt', import.meta.url));

/** Notes a number that a heavy test has measured: `scripts/heavy-report.js` shows it. */
export async function noteMeasure(text: string): Promise<void> {
  process.stdout.write(`${text}\n`);
  await mkdir(dirname(file), { recursive: true });
  await appendFile(file, `${text}\n`);
}
