import { acknowledge } from './intake-sabotages.ts';
import { dedup, fence, ledger, merge, settle } from './load-sabotages.ts';
import { manifest, partition } from './pass-sabotages.ts';
import { claim, position, reconciler } from './plan-sabotages.ts';
import type { Sabotage } from './sabotage.ts';

/** Ways to break Millrace, to see that a proof of it finds them. */
export const sabotages = {
  ledger,
  fence,
  acknowledge,
  position,
  partition,
  merge,
  settle,
  dedup,
  manifest,
  claim,
  reconciler,
} as const satisfies Readonly<Record<string, Sabotage>>;

export type SabotageName = keyof typeof sabotages;

/**
 * Nothing for no name.
 * @throws Error that names those there are
 */
export function sabotageOf(name = ''): Partial<Sabotage> {
  if (name === '') return {};
  if (Object.hasOwn(sabotages, name)) return sabotages[name as SabotageName];
  throw new Error(`there is no sabotage "${name}": ${Object.keys(sabotages).join(', ')}`);
}
