import { fileURLToPath } from 'node:url';
import {
  startInstance,
  type TestInstance,
  type TestInstanceOptions,
} from '../../support/instance.ts';
import type { SabotageName } from './sabotages.ts';

const starter = fileURLToPath(new URL('cli.ts', import.meta.url));

/** An instance as any other, with one sabotage in it. */
export function startSabotaged(
  name: SabotageName,
  { environment, ...options }: TestInstanceOptions,
): Promise<TestInstance> {
  return startInstance({ ...options, environment: { ...environment, SABOTAGE: name }, starter });
}
