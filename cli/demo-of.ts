import type { LoadedConfiguration } from '../config/load-configuration.ts';
import { readMinutes, readRates } from '../demo/settings.ts';
import type { DemoOptions } from '../local/demo.ts';

/**
 * What a start feeds: what the millrace.yaml beside it names. A file that somebody names with -f is
 * filled where it needs that, and then left alone.
 */
export function demoOf(
  loaded: LoadedConfiguration | null,
  { isNamed, env = process.env }: { readonly isNamed: boolean; readonly env?: NodeJS.ProcessEnv },
): DemoOptions | undefined {
  const demo = loaded?.configuration.demo;
  if (demo === undefined) return undefined;
  readRates(env); // what is wrong with them is said now
  if (!isNamed) return { ...demo, minutes: readMinutes(env) };
  return demo.database === undefined ? undefined : { database: demo.database, minutes: 0 };
}
