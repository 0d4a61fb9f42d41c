import type { Activities } from '../../../activities/contract.ts';
import type { ActivityDependencies } from '../../../activities/dependencies.ts';
import type { ServerParts } from '../../../server/run-server.ts';
import type { Word } from '../oracle/violations.ts';

/** One way in which Millrace is broken, put around the parts that its worker and server are made of. */
export interface Sabotage {
  /** What it does wrong then. */
  readonly breaks: string;
  /** What the oracle calls it. */
  readonly word: Word;
  /** Kinds of faults that let it do its harm. */
  readonly provokedBy: readonly string[];
  /** How many of them, where one may hit a batch that it does not harm (1). */
  readonly strikes?: number;
  /** What all activities of the worker are given instead. */
  readonly dependencies?: (real: ActivityDependencies) => ActivityDependencies;
  /** What Temporal calls instead. */
  readonly activities?: (real: Activities, dependencies: ActivityDependencies) => Activities;
  /** How the server stores what it was sent. */
  readonly append?: ServerParts['append'];
}
