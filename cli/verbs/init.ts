import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { exampleConfiguration } from '../example-configuration.ts';
import { exitCode, VerbEnd } from '../exit-codes.ts';
import { printJson, say } from '../print.ts';
import type { JsonFlag } from './flags.ts';

const name = 'millrace.yaml';

/** Writes a configuration to begin with; never over one that is there. */
export async function runInit(folder: string, { json }: JsonFlag): Promise<number> {
  const file = join(folder, name);
  try {
    await mkdir(folder, { recursive: true });
    await writeFile(file, exampleConfiguration, { flag: 'wx' });
  } catch (error) {
    throw new VerbEnd(exitCode.failure, explain(file, (error as NodeJS.ErrnoException).code));
  }
  if (json) printJson({ file });
  else sayNext(file);
  return exitCode.ok;
}

function sayNext(file: string): void {
  const option = file === name ? '' : ` -f ${file}`;
  say(`wrote ${file}: edit it, then "npm run millrace -- validate${option}" and "apply${option}"`);
}

function explain(file: string, code: string | undefined): string {
  if (code === 'EEXIST')
    return `${file} is here already: edit it, or name another folder (init FOLDER)`;
  return `${file} cannot be written (${code}): name a folder that is yours (init FOLDER)`;
}
