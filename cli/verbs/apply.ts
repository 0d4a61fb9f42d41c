import { loadConfiguration } from '../../config/load-configuration.ts';
import { connect } from '../api.ts';
import { applyConfiguration } from '../apply-configuration.ts';
import { exitCode } from '../exit-codes.ts';
import { printJson, say } from '../print.ts';
import { printTokens } from '../print-tokens.ts';
import type { FileFlag } from './flags.ts';

/** Puts a configuration into force. */
export async function runApply({ file, json }: FileFlag): Promise<number> {
  const loaded = await loadConfiguration(file);
  const { answer } = await applyConfiguration(await connect(), loaded);
  const { version, changed, tokens } = answer;
  if (json) printJson(answer);
  else {
    say(changed ? `applied, version ${version}` : `nothing changed, version ${version}`);
    printTokens(tokens);
  }
  return exitCode.ok;
}
