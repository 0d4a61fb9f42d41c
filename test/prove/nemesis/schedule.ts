import { createRandom } from '../random.ts';

/** One round: events flow, faults strike, then everything has to drain by itself. */
export interface Round {
  readonly number: number;
  readonly faults: readonly PlannedFault[];
  readonly events: number;
}

export interface PlannedFault {
  readonly name: string;
  /** After the first event of its round. */
  readonly afterMs: number;
}

export interface ScheduleOptions {
  readonly seed: string;
  readonly events: number;
  readonly faults: number;
  /** Names of all kinds of faults. */
  readonly kinds: readonly string[];
  /** Faults that strike in one round at most. */
  readonly perRound: number;
}

const moments = 2_500;

/** The same options give the same rounds. Every kind strikes before one strikes again. */
export function planRounds({
  seed,
  events,
  faults,
  kinds,
  perRound,
}: ScheduleOptions): readonly Round[] {
  const random = createRandom(`${seed}/schedule`);
  const names: string[] = [];
  while (names.length < faults) names.push(...random.shuffle(kinds));
  const rounds: PlannedFault[][] = [];
  for (let at = 0; at < faults;) {
    const size = Math.min(1 + random.below(perRound), faults - at);
    const some = names.slice(at, at + size);
    rounds.push(some.map((name) => ({ name, afterMs: random.below(moments) })));
    at += size;
  }
  return rounds.map((planned, at) => ({
    number: at + 1,
    faults: planned,
    events: share(events, rounds.length, at),
  }));
}

function share(total: number, parts: number, at: number): number {
  return Math.floor((total * (at + 1)) / parts) - Math.floor((total * at) / parts);
}
