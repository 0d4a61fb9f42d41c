import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '');

/** Raise it when set-up itself has to run again on machines where it has run. */
const scriptVersion = '1';

/** Inside node_modules: whoever deletes that folder deletes the stamp with it. */
const stampFile = (folder) => join(folder, 'node_modules', '.millrace-set-up.json');

export const binNode = (folder = root) => join(folder, 'node_modules', '.bin', 'node');

/** What was set up: the hash of its inputs, the version of Node, where Temporal's CLI is. */
export function readStamp(folder = root) {
  try {
    return JSON.parse(readFileSync(stampFile(folder), 'utf8'));
  } catch {
    return {};
  }
}

export function writeStamp(stamp, folder = root) {
  writeFileSync(stampFile(folder), `${JSON.stringify(stamp, null, 2)}\n`);
}

export function stampKey(nodeVersion, folder = root) {
  return createHash('sha256')
    .update(readFileSync(join(folder, 'package-lock.json')))
    .update(`\n${scriptVersion}\n${nodeVersion}\n${process.platform}-${process.arch}`)
    .digest('hex');
}

/** True where the dependencies in node_modules are those of package-lock.json. Reads two files. */
export function isSetUp(folder = root) {
  const { key, node } = readStamp(folder);
  return key !== undefined && key === stampKey(node, folder);
}
