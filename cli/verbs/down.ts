import { down } from '../../local/down.ts';
import { homeDirectory } from '../../local/home.ts';
import { exitCode } from '../exit-codes.ts';
import { printJson, say } from '../print.ts';
import type { JsonFlag } from './flags.ts';

export async function runDown({ json }: JsonFlag): Promise<number> {
  const home = homeDirectory();
  const stopped = await down(home);
  if (json) printJson({ home, stopped });
  else say(stopped ? `stopped what ran in ${home}` : `nothing ran in ${home}`);
  return exitCode.ok;
}
