import { loadConfiguration } from '../../config/load-configuration.ts';
import { connect } from '../api.ts';
import { applyConfiguration } from '../apply-configuration.ts';
import { exitCode } from '../exit-codes.ts';
import { printJson, say } from '../print.ts';
import type { FileFlag } from './flags.ts';

/** Puts a configuration into force. */
export async function runApply({ file, json }: FileFlag): Promise<number> {
  const loaded = await loadConfiguration(file);
  const { answer } = await applyConfiguration(await connect(), loaded);
  const { version, changed } = answer;
  if (json) printJson(answer);
  else say(changed ? `applied, version ${version}` : `nothing changed, version ${version}`);
  return exitCode.ok;
}
