import { realpathSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { binNode, root } from './stamp.js';

/** A tool of node_modules on Node 24, whatever Node this script itself runs on. */
export function toolCommand(tool, args) {
  return [binNode(), realpathSync(join(root, 'node_modules', '.bin', tool)), ...args];
}

export function toolEnvironment() {
  return { ...process.env, PATH: `${dirname(binNode())}${delimiter}${process.env.PATH ?? ''}` };
}
