/** What one case found. Numbers are above 0; what they are of stands in their names. */
export interface CaseResult {
  readonly case: string;
  /** Time of the floor / ours: 1 would be as fast as the floor. */
  readonly ratio: number;
  readonly runs: readonly Readonly<Record<string, number>>[];
  readonly [fact: string]: unknown;
}

export interface BenchConsole {
  readonly say: (message: string) => void;
  /** Fails when the run is to end early. */
  readonly interrupted: Promise<never>;
}

export function round(value: number, digits = 2): number {
  return Number(value.toFixed(digits));
}
