import type { Evidence, TableEvidence } from './evidence.ts';
import { judgeAppend } from './judge-append.ts';
import { judgeLedger, judgePositions } from './judge-batches.ts';
import { judgeMerge } from './judge-merge.ts';
import type { Journal, SentBody } from './journal.ts';
import type { Violation } from './violations.ts';

/** All that is wrong with what stands in the databases, given what was sent. */
export function judge(journal: Journal, evidence: Evidence): readonly Violation[] {
  const sent = Map.groupBy(journal.bodies, ({ source, stream }) => `${source} ${stream}`);
  const found = Object.entries(evidence.destinations).flatMap(([destination, stand]) => [
    ...judgeLedger(destination, stand, evidence),
    ...stand.tables.flatMap((table) =>
      judgeTable(destination, table, sent.get(`${table.source} ${table.stream}`) ?? [], evidence),
    ),
  ]);
  return [...found, ...judgePositions(evidence, journal)];
}

function judgeTable(
  destination: string,
  { source, stream, write, rows }: TableEvidence,
  bodies: readonly SentBody[],
  evidence: Evidence,
): readonly Violation[] {
  const failed = evidence.failed.filter(
    (row) => row.destination === destination && row.source === source && row.stream === stream,
  );
  const isDrained =
    (evidence.unplanned[source] ?? 0) === 0 &&
    evidence.batches.every((batch) => batch.source !== source || batch.state === 'settled');
  const isReadAgain = evidence.batches.some(
    (batch) =>
      batch.source === source && batch.run.startsWith('backfill/') && isOf(stream, batch.lane),
  );
  const given = { source, destination, bodies, rows, failed, isDrained, isReadAgain };
  return write === 'append' ? judgeAppend(given) : judgeMerge(given);
}

/** Lanes are files and tables, and are named like the stream that they bring. */
function isOf(stream: string, lane: string): boolean {
  return lane.split('.').includes(stream);
}
