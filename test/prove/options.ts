import { parseArgs } from 'node:util';
import { sabotages, type SabotageName } from './sabotage/sabotages.ts';

export interface ProofOptions {
  readonly events: number;
  readonly faults: number;
  readonly seed: string;
  /** Kinds of faults, by parts of their names; none: all. */
  readonly only: readonly string[];
  readonly perRound: number;
  /** A backlog that takes longer has not drained by itself. */
  readonly drainSeconds: number;
  /** Breaks the product in one way, to see that the proof finds it. */
  readonly sabotage?: SabotageName;
  readonly json: boolean;
  /** Keep the report in `docs/proof/`. */
  readonly save: boolean;
  /** Keep journal and verdict of the oracle here. */
  readonly keep?: string;
}

/** The command line cannot be followed; the message says why. */
export class UsageError extends Error {}

export const usage = `npm run prove -- [options]
  --events N      events to send (default 50000)
  --faults N      faults to strike (default 60)
  --seed TEXT     the same seed gives the same events and faults (default: the time)
  --only TEXT     only faults whose name holds this text; may be given again
  --per-round N   at most so many faults at once (default 3)
  --drain-seconds N  how long a backlog may take (default 300)
  --sabotage NAME breaks the product in one way: ${Object.keys(sabotages).join(', ')}
  --json          the report as JSON on stdout
  --save          keep it in docs/proof/
  --keep FOLDER   keep what the oracle read and said
  --list          the names of all faults`;

/** @throws UsageError */
export function readOptions(args: readonly string[]): ProofOptions & { readonly list: boolean } {
  const { values } = parse(args);
  const { json, save, list, only, keep, sabotage } = values;
  return {
    events: readCount('--events', values.events, 50_000),
    faults: readCount('--faults', values.faults, 60),
    perRound: readCount('--per-round', values['per-round'], 3),
    drainSeconds: readCount('--drain-seconds', values['drain-seconds'], 300),
    seed: values.seed ?? String(Date.now()),
    only,
    json,
    save,
    list,
    ...(keep !== undefined && { keep }),
    ...(sabotage !== undefined && { sabotage: readSabotage(sabotage) }),
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        events: { type: 'string' },
        faults: { type: 'string' },
        'per-round': { type: 'string' },
        'drain-seconds': { type: 'string' },
        seed: { type: 'string' },
        only: { type: 'string', multiple: true, default: [] },
        json: { type: 'boolean', default: false },
        save: { type: 'boolean', default: false },
        list: { type: 'boolean', default: false },
        keep: { type: 'string' },
        sabotage: { type: 'string' },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function readSabotage(text: string): SabotageName {
  if (Object.hasOwn(sabotages, text)) return text as SabotageName;
  throw new UsageError(`--sabotage is one of ${Object.keys(sabotages).join(', ')}`);
}

function readCount(name: string, text: string | undefined, otherwise: number): number {
  const count = text === undefined ? otherwise : Number(text);
  if (Number.isSafeInteger(count) && count > 0) return count;
  throw new UsageError(`${name} ${text} is no whole number above 0`);
}
