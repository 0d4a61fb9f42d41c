/** What can be wrong, in the words of the report. */
export const words = [
  'lost',
  'duplicate',
  'torn',
  'stale',
  'phantom',
  'unseen',
  'non-monotonic',
] as const;

export type Word = (typeof words)[number];

export interface Violation {
  readonly word: Word;
  readonly source: string;
  readonly destination?: string;
  /** Round in which the event was sent first; none for a whole batch. */
  readonly round?: number;
  /** Number of an event, or id of a batch: no values. */
  readonly subject: string;
  readonly detail: string;
}
