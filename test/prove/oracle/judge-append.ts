import type { LoadedRow } from './evidence.ts';
import type { SentBody } from './journal.ts';
import { StreamCase, type StreamEvidence } from './stream-case.ts';
import type { Violation } from './violations.ts';

/** Every event is loaded once, or waits as failed where it cannot load, and nothing else is there. */
export function judgeAppend(given: StreamEvidence): readonly Violation[] {
  const stream = new StreamCase(given);
  stream.judgeRows();
  stream.judgeRecords();
  for (const [key, bodies] of stream.bodiesByKey) {
    const rows = stream.rowsByKey.get(key) ?? [];
    const loadedAs = (content: string | null) =>
      rows.some((row) => (content === null ? isOfNobody(row, bodies) : row.content === content));
    for (const body of bodies) judgeBody(stream, body, loadedAs(body.content));
    judgeTwins(stream, bodies, rows);
  }
  return stream.violations;
}

/** A row that says what nobody sent: of an event that no table may take it is what was made of it. */
function isOfNobody(row: LoadedRow, bodies: readonly SentBody[]): boolean {
  return bodies.every(({ content }) => content !== row.content);
}

function judgeBody(stream: StreamCase, body: SentBody, isLoaded: boolean): void {
  const { key, content, outcome, round } = body;
  const records = stream.held(body);
  // One under an id that is taken has a record for each time it came, and may be loaded itself.
  const failures = records.filter(({ kind }) => kind !== 'id-conflict');
  if (failures.length > 1)
    stream.report('duplicate', key, `${failures.length} records of one failure`, round);
  if (failures.length > 0 && isLoaded)
    stream.report('duplicate', key, 'loaded, and waits in failed events too', round);
  if (outcome !== 'ok' || isLoaded) return;
  if (records.length === 0) stream.reportMissing(key, 'taken, and nowhere', round);
  else if (content !== null && failures.length === records.length)
    stream.report('unseen', key, 'good, and waits in failed events', round);
}

/** Of several contents under one id one is loaded, whichever came first, unless it is bad. */
function judgeTwins(
  stream: StreamCase,
  bodies: readonly SentBody[],
  rows: readonly LoadedRow[],
): void {
  const good = bodies.filter(({ content, outcome }) => content !== null && outcome === 'ok');
  if (good.length < 2 || rows.length > 0 || good.length < bodies.length) return;
  if (good.some((body) => stream.held(body).some(({ kind }) => kind !== 'id-conflict'))) return;
  stream.reportMissing(good[0]?.key ?? '', 'none of its contents is loaded', good[0]?.round);
}
