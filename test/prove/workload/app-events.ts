import { contentOf, sha256 } from '../oracle/content.ts';
import type { SentEvent } from '../oracle/journal.ts';
import type { Random } from '../random.ts';

/** An event as an application sends it, and what the oracle is to know of it. */
export interface AppEvent {
  readonly text: string;
  readonly stream: 'app' | 'visits';
  readonly sent: SentEvent;
}

export interface EventStory {
  readonly from: number;
  readonly count: number;
  readonly random: Random;
  /** Fields that appeared in the course of the run. */
  readonly newFields: readonly string[];
  /** Only events that every table takes: they give the tables their types. */
  readonly isClean?: boolean;
  /** Only events that no table takes. */
  readonly isPoison?: boolean;
}

export const startOfTime = Date.UTC(2026, 0, 1);
const day = 86_400_000;
const shares = { wrongType: 0.01, twoKeys: 0.001, otherBody: 0.003, late: 0.02, newField: 0.3 };
/** How far an event may come after those that were made later. */
const disorder = 10_000;

/** Numbered events, in no order, some late, some that cannot load, some under an id that is taken. */
export function makeAppEvents(story: EventStory): readonly AppEvent[] {
  const events = Array.from({ length: story.count }, (_, at) => makeEvent(story.from + at, story));
  return story.random.shuffle(events.flat(), disorder);
}

function makeEvent(n: number, story: EventStory): readonly AppEvent[] {
  const { random, isClean = false, isPoison = false } = story;
  const stream = n % 5 === 0 ? 'visits' : 'app';
  const fields = fieldsOf(n, story);
  const roll = isPoison ? 0 : isClean ? 1 : random.next();
  if (roll < shares.wrongType) return [toEvent(n, stream, { ...fields, amount: 'none' }, 'bad')];
  if (roll < shares.wrongType + shares.twoKeys) return [toEvent(n, stream, fields, 'two-keys')];
  const good = toEvent(n, stream, fields, 'good');
  if (isClean || !random.chance(shares.otherBody)) return [good];
  return [good, toEvent(n, stream, { ...fields, amount: random.below(1000) + 0.25 }, 'good')];
}

function fieldsOf(n: number, { random, newFields }: EventStory): Record<string, unknown> {
  const late = random.chance(shares.late) ? 30 * day : 0;
  const fields: Record<string, unknown> = {
    n,
    at: new Date(startOfTime + n * 1_000 - late).toISOString(),
    amount: random.below(1_000) + 0.5,
    text: `event ${n}`,
    paid: random.chance(0.5),
  };
  for (const name of newFields) {
    if (random.chance(shares.newField)) fields[name] = random.below(100);
  }
  return fields;
}

function toEvent(
  n: number,
  stream: AppEvent['stream'],
  fields: Record<string, unknown>,
  fate: 'good' | 'bad' | 'two-keys',
): AppEvent {
  const metadata = { '@uuid': `event-${n}`, event_type: stream };
  const plain = JSON.stringify({ _metadata: metadata, ...fields });
  const text = fate === 'two-keys' ? `${plain.slice(0, -1)},"text":"again"}` : plain;
  const inTable = { ...fields, metadata_uuid: metadata['@uuid'], metadata_event_type: stream };
  const content = fate === 'good' ? contentOf(inTable) : null;
  return { text, stream, sent: { key: String(n), content, sha256: sha256(text) } };
}
