import type { SentBody } from './journal.ts';
import { StreamCase, type StreamEvidence } from './stream-case.ts';
import type { Violation } from './violations.ts';

/** Every key has one row: its newest version among those that can load. */
export function judgeMerge(given: StreamEvidence): readonly Violation[] {
  const stream = new StreamCase(given);
  stream.judgeRows();
  stream.judgeRecords();
  for (const [key, bodies] of stream.bodiesByKey) {
    const taken = bodies.filter(({ outcome }) => outcome === 'ok');
    for (const body of taken) judgeVersion(stream, body);
    judgeKey(stream, key, taken);
  }
  return stream.violations;
}

function judgeVersion(stream: StreamCase, body: SentBody): void {
  const { key, content, round } = body;
  const records = stream.held(body).length;
  const waits = records > 0;
  if (records > 1) stream.report('duplicate', key, `${records} records of one failure`, round);
  if (content === null && !waits && !isSuperseded(stream, body))
    stream.reportMissing(key, 'a version that cannot load is nowhere', round);
  if (content !== null && waits)
    stream.report('unseen', key, 'a good version waits in failed events', round);
}

/**
 * Read again, a version that cannot load counts as superseded where a newer one is there (decision
 * 0010 of the product), and waits no more. Where nobody read it again it has to.
 */
function isSuperseded(stream: StreamCase, { key, version = '' }: SentBody): boolean {
  if (!stream.isReadAgain) return false;
  const [row] = stream.rowsByKey.get(key) ?? [];
  const found = stream.bodiesByKey.get(key)?.find(({ content }) => content === row?.content);
  return found !== undefined && versionOf(found) >= version;
}

function judgeKey(stream: StreamCase, key: string, taken: readonly SentBody[]): void {
  const able = taken.filter((body) => body.content !== null && stream.held(body).length === 0);
  const due = newest(able);
  if (!due) return;
  const [row] = stream.rowsByKey.get(key) ?? [];
  if (!row) return stream.reportMissing(key, 'no row', due.round);
  const found = stream.bodiesByKey.get(key)?.find(({ content }) => content === row.content);
  if (found && versionOf(found) < versionOf(due)) stream.reportOlder(key, due.round);
}

function newest(bodies: readonly SentBody[]): SentBody | undefined {
  return bodies.reduce<SentBody | undefined>(
    (best, next) => (best && versionOf(best) >= versionOf(next) ? best : next),
    undefined,
  );
}

function versionOf({ version = '' }: SentBody): string {
  return version;
}
