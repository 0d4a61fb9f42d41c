import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { finished } from 'node:stream/promises';
import { createGzip } from 'node:zlib';

const textOfOneMiB = 'x'.repeat(2 ** 20);

/** `start`, then so many MiB of the letter x, then `end`; compressed where the name ends in .gz. */
export async function writeLargeText(
  path: string,
  [start, mebibytes, end]: readonly [string, number, string],
): Promise<void> {
  const file = createWriteStream(path);
  const out = path.endsWith('.gz') ? createGzip({ level: 1 }) : file;
  if (out !== file) out.pipe(file);
  out.write(start);
  for (let n = 0; n < mebibytes; n += 1) {
    if (!out.write(textOfOneMiB)) await once(out, 'drain');
  }
  out.end(end);
  await finished(file);
}
