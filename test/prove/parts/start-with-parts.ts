import { fileURLToPath } from 'node:url';
import {
  startInstance,
  type TestInstance,
  type TestInstanceOptions,
} from '../../support/instance.ts';
import type { SabotageName } from '../sabotage/sabotages.ts';

const starter = fileURLToPath(new URL('cli.ts', import.meta.url));

export interface WithPartsOptions extends TestInstanceOptions {
  readonly sabotage?: SabotageName;
}

/** An instance as any other, but for its worker and server, which are those of a proof. */
export function startWithParts({
  sabotage,
  environment,
  ...options
}: WithPartsOptions): Promise<TestInstance> {
  const sabotaged = { ...environment, ...(sabotage && { SABOTAGE: sabotage }) };
  return startInstance({ ...options, environment: sabotaged, starter });
}
