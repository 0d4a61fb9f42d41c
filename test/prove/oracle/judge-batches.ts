import type {
  BatchRow,
  DeliveryRow,
  DestinationEvidence,
  Evidence,
  LedgerRow,
} from './evidence.ts';
import type { Journal } from './journal.ts';
import type { Violation, Word } from './violations.ts';

/** Rows of a batch and its row in the ledger stand there together, and count the same. */
export function judgeLedger(
  destination: string,
  stand: DestinationEvidence,
  { batches, deliveries }: Pick<Evidence, 'batches' | 'deliveries'>,
): readonly Violation[] {
  const found: BatchFinding[] = [];
  const counts = countByBatch(stand);
  const known = new Map(batches.map((batch) => [batch.batchId, batch]));
  const sourceOf = (batchId: string) => known.get(batchId)?.source ?? '';
  const listed = new Map(stand.ledger.map((entry) => [entry.batchId, entry]));
  for (const batchId of counts.keys()) {
    const source = sourceOf(batchId);
    if (!listed.has(batchId))
      found.push({ word: 'torn', source, batchId, detail: 'rows without a row in the ledger' });
  }
  for (const entry of stand.ledger) {
    found.push(...judgeTables(entry, counts.get(entry.batchId) ?? new Map(), stand));
    found.push(...judgeConservation(entry, known.get(entry.batchId)));
  }
  for (const { batchId } of settledIn(destination, deliveries)) {
    const source = sourceOf(batchId);
    if (!listed.has(batchId))
      found.push({ word: 'lost', source, batchId, detail: 'settled, and not in the ledger' });
  }
  return found.map(({ batchId, ...rest }) => ({ ...rest, destination, subject: batchId }));
}

function settledIn(destination: string, deliveries: readonly DeliveryRow[]) {
  return deliveries.filter((row) => row.destination === destination && row.state === 'settled');
}

interface BatchFinding {
  readonly word: Word;
  readonly source: string;
  readonly batchId: string;
  readonly detail: string;
}

type Counts = ReadonlyMap<string, number>;

/** Rows by batch and table. */
function countByBatch({ tables }: DestinationEvidence): ReadonlyMap<string, Counts> {
  const counts = new Map<string, Map<string, number>>();
  for (const { table, rows } of tables) {
    for (const { batchId } of rows) {
      const byTable = counts.get(batchId) ?? new Map<string, number>();
      counts.set(batchId, byTable.set(table, (byTable.get(table) ?? 0) + 1));
    }
  }
  return counts;
}

/** A row of a `merge` table leaves its batch when it is replaced; there the ledger has more. */
function judgeTables(
  { batchId, source, tables: said }: LedgerRow,
  counts: Counts,
  { tables }: DestinationEvidence,
): readonly BatchFinding[] {
  return tables.flatMap(({ table, write }) => {
    const [found, due] = [counts.get(table) ?? 0, said[table] ?? 0];
    const isTorn = write === 'append' ? found !== due : found > due;
    const detail = `${table}: ${found} rows, ${due} in the ledger`;
    return isTorn ? [{ word: 'torn', source, batchId, detail } as const] : [];
  });
}

/** Every event that was read is counted once. */
function judgeConservation(
  { batchId, source, ...counts }: LedgerRow,
  batch: BatchRow | undefined,
): readonly BatchFinding[] {
  if (!batch)
    return [{ word: 'phantom', source, batchId, detail: 'the ledger has it, the plan has not' }];
  const { loaded, duplicate, superseded, failed, discarded } = counts;
  const counted = loaded + duplicate + superseded + failed + discarded;
  const events = batch.events ?? counted;
  if (counted === events) return [];
  const word = counted < events ? 'lost' : 'duplicate';
  return [{ word, source, batchId, detail: `${events} events, ${counted} counted` }];
}

/** A lane is cut from its start to its head without gap or overlap, and its head only went on. */
export function judgePositions(
  { batches, lanes }: Pick<Evidence, 'batches' | 'lanes'>,
  { heads }: Pick<Journal, 'heads'>,
): readonly Violation[] {
  const nameOf = ({ source, lane }: { source: string; lane: string }) => `${source} ${lane}`;
  const live = Map.groupBy(
    batches.filter(({ run }) => run === 'live'),
    nameOf,
  );
  const seen = Map.groupBy(heads, nameOf);
  return lanes.flatMap((lane) => {
    const cuts = live.get(nameOf(lane)) ?? [];
    const samples = (seen.get(nameOf(lane)) ?? []).map(({ head }) => head);
    const { source } = lane;
    const found = [...gapsOf(cuts, lane.head), ...(wentBack(cuts, samples) ? [lane.lane] : [])];
    return found.map((subject) => ({
      word: 'non-monotonic' as const,
      source,
      subject,
      detail: 'what comes next does not begin where this ended',
    }));
  });
}

/** Batches after which another one, or the head, stands somewhere else. */
function gapsOf(cuts: readonly BatchRow[], head: string): readonly string[] {
  return cuts
    .filter(({ to }, at) => to !== (cuts[at + 1]?.from ?? head))
    .map(({ batchId }) => batchId);
}

function wentBack(cuts: readonly BatchRow[], samples: readonly string[]): boolean {
  const places = new Map<string, number>();
  for (const [at, { from, to }] of cuts.entries()) places.set(from, at).set(to, at + 1);
  const seen = samples.map((head) => places.get(head)).filter((place) => place !== undefined);
  return seen.some((place, at) => place < (seen[at - 1] ?? 0));
}
