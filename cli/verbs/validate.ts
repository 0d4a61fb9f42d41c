import { configurationJsonSchema } from '../../config/json-schema.ts';
import { loadConfiguration } from '../../config/load-configuration.ts';
import { exitCode } from '../exit-codes.ts';
import { printJson, say } from '../print.ts';
import type { FileFlag } from './flags.ts';

/** Checks a configuration; needs nothing that runs. */
export async function runValidate({
  file,
  json,
  schema,
}: FileFlag & { readonly schema?: boolean }): Promise<number> {
  if (schema) {
    printJson(await configurationJsonSchema());
    return exitCode.ok;
  }
  const { configuration } = await loadConfiguration(file);
  if (json) printJson({ file, valid: true });
  else {
    const counts = Object.entries(configuration).map(
      ([section, blocks]) => `${Object.keys(blocks as object).length} ${section}`,
    );
    say(`${file} is valid: ${counts.join(', ')}`);
  }
  return exitCode.ok;
}
