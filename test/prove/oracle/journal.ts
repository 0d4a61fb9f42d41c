import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';

/** What was done to the product and what it answered, one line of JSON each, in order of time. */
export type JournalEntry =
  | SentEntry
  /** Of one attempt: `failed` says for certain that nothing was taken. */
  | { readonly type: 'answered'; readonly request: number; readonly outcome: Outcome }
  | {
      readonly type: 'head';
      readonly source: string;
      readonly lane: string;
      readonly head: string;
    };

export interface SentEntry {
  readonly type: 'sent';
  readonly request: number;
  readonly round: number;
  readonly source: string;
  readonly stream: string;
  readonly events: readonly SentEvent[];
}

export type Outcome = 'ok' | 'failed' | 'unknown';

export interface SentEvent {
  /** Number of the event in an `append` stream, key of the row in a `merge` stream. */
  readonly key: string;
  /** `contentOf` its fields; null where no destination may load it. */
  readonly content: string | null;
  /** Of its bytes; empty where the product itself makes them of a row. */
  readonly sha256: string;
  /** In `merge` streams: sorts as text. */
  readonly version?: string;
}

/** One content that was sent under one key, and the best that was answered to it. */
export interface SentBody extends SentEvent {
  readonly source: string;
  readonly stream: string;
  readonly round: number;
  readonly outcome: Outcome;
}

export interface Journal {
  /** Each content of each key once, in the order it was sent first. */
  readonly bodies: readonly SentBody[];
  readonly heads: readonly { source: string; lane: string; head: string }[];
}

const rank: Readonly<Record<Outcome, number>> = { failed: 0, unknown: 1, ok: 2 };

export async function readJournal(file: string): Promise<Journal> {
  const entries: JournalEntry[] = [];
  for await (const line of createInterface(createReadStream(file))) {
    entries.push(JSON.parse(line) as JournalEntry);
  }
  return toJournal(entries);
}

/** A request without an answer may have been taken: its sender may have been killed. */
export function toJournal(entries: readonly JournalEntry[]): Journal {
  const outcomes = bestOutcomes(entries);
  const bodies = new Map<string, SentBody>();
  for (const entry of entries) {
    if (entry.type !== 'sent') continue;
    const { source, stream, round, request } = entry;
    const outcome = outcomes.get(request) ?? 'unknown';
    for (const event of entry.events) {
      const id = `${source}/${stream}/${event.key}/${event.sha256 || event.content}`;
      const known = bodies.get(id);
      if (known) bodies.set(id, { ...known, outcome: better(known.outcome, outcome) });
      else bodies.set(id, { ...event, source, stream, round, outcome });
    }
  }
  const heads = entries.filter((entry) => entry.type === 'head');
  return { bodies: [...bodies.values()], heads };
}

function bestOutcomes(entries: readonly JournalEntry[]): ReadonlyMap<number, Outcome> {
  const outcomes = new Map<number, Outcome>();
  for (const entry of entries) {
    if (entry.type !== 'answered') continue;
    const { request, outcome } = entry;
    // One attempt without an answer may have been taken, whatever the others were answered.
    outcomes.set(request, better(outcomes.get(request) ?? outcome, outcome));
  }
  return outcomes;
}

function better(a: Outcome, b: Outcome): Outcome {
  return rank[a] < rank[b] ? b : a;
}
