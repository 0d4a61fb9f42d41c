import type { LedgerRow } from '../../core/destination.ts';
import type { ObservedLane, ReplayableSource } from '../../core/source.ts';
import { intakeLane, intakeChunk, intakePosition } from '../../connectors/kit/intake-source.ts';
import { batchIdOf } from '../../pipeline/batches/batch-id.ts';
import {
  byFrom,
  mendLane,
  type LaneMend,
  type LoadedRange,
} from '../../pipeline/batches/mend-lane.ts';
import type { Transaction } from '../../store/catalog/catalog.ts';
import {
  firstMissingChunk,
  insertRecovered,
  liftChunks,
  lockLane,
  placeLane,
  plansBeyond,
  withdrawPlans,
  type RecoveredDelivery,
} from '../../store/catalog/recoveries.ts';
import { readRows, type LedgerFinding, type OpenLedger } from './compare-ledgers.ts';

export interface MendContext {
  readonly tx: Transaction;
  readonly name: string;
  readonly source: ReplayableSource;
  readonly observed: ReadonlyMap<string, ObservedLane>;
  readonly ledgers: readonly OpenLedger[];
  readonly findings: readonly LedgerFinding[];
  /** Of the pipeline. */
  readonly destinations: readonly string[];
  /** Events are posted to it. */
  readonly hasIntake: boolean;
}

export interface MendedLane {
  readonly adopted: number;
  readonly rebuilding: number;
  readonly withdrawn: number;
  readonly readAgain: number;
  readonly renumberedChunks: number;
}

interface LedgerLane {
  readonly lane: string;
  readonly rows: readonly LedgerRow[];
}

/** Forgotten batches by lane; those of restreams and backfills, which move no head, apart. */
export function sortUnknown(name: string, findings: readonly LedgerFinding[]) {
  const rows = findings.flatMap(({ unknown }) => unknown);
  const isLive = ({ batchId }: LedgerRow) => batchId.startsWith(`${name}/`);
  const lanes = Map.groupBy(rows.filter(isLive), ({ lane }) => lane);
  return {
    lanes: [...lanes].map(([lane, of]): LedgerLane => ({ lane, rows: of })),
    others: rows.filter((row) => !isLive(row)),
  };
}

/** Null: different ranges of the lane are loaded. */
export async function mendOne(
  context: MendContext,
  { lane, rows }: LedgerLane,
): Promise<MendedLane | null> {
  const { tx, name } = context;
  const standing = await lockLane(tx, { source: name, lane });
  const from = rows.map((row) => row.from).reduce(least);
  const planned = await readPlanned(context, { lane, from });
  const head = standing?.head ?? context.observed.get(lane)?.start ?? from;
  const mend = mendLane({ head, unknown: rows, planned });
  if (!mend) return null;
  const shape = shapeOf(context, { lane, memo: standing?.memo ?? '', head: mend.head });
  await withdrawPlans(tx, mend.withdraw);
  const renumberedChunks = await liftIntake(context, { lane, rows, mend });
  const gaps = await cutGaps(context, lane, mend);
  const again = gaps.map((range) => ({
    ...range,
    batchId: batchIdOf({ run: 'live', source: name, lane, ...range }),
  }));
  await insertAll(context, shape, [...mend.adopt, ...again].sort(byFrom)); // planned in their order
  const { stream } = shape;
  const memo = await shape.note(mend.head);
  await placeLane(tx, { source: name, lane, head: mend.head, memo, stream });
  return {
    adopted: mend.adopt.length,
    rebuilding: rows.filter(({ rowsFailed }) => rowsFailed > 0).length,
    withdrawn: mend.withdraw.length,
    readAgain: gaps.length,
    renumberedChunks,
  };
}

function least(a: string, b: string): string {
  return a < b ? a : b;
}

async function readPlanned(
  { tx, name, ledgers }: MendContext,
  at: { readonly lane: string; readonly from: string },
) {
  const plans = await plansBeyond(tx, { source: name, ...at });
  const ids = plans.map(({ batchId }) => batchId);
  const loaded = new Set<string>();
  for (const { destination } of ledgers) {
    for (const { batchId } of await readRows(destination, ids)) loaded.add(batchId);
  }
  return plans.map(({ settled, ...plan }) => ({
    ...plan,
    loaded: settled || loaded.has(plan.batchId),
  }));
}

/** What batches of a lane have in common. */
interface LaneShape {
  readonly lane: string;
  readonly stream: string | null;
  readonly whole: boolean;
  readonly note: (position: string) => Promise<string>;
}

function shapeOf(
  { source, observed }: MendContext,
  { lane, memo, head }: { lane: string; memo: string; head: string },
): LaneShape {
  const seen = observed.get(lane);
  if (!seen) return { lane, stream: null, whole: false, note: async () => memo };
  const note = async (position: string) =>
    source.noteAt ? source.noteAt(seen, position, head) : seen.memo;
  return { lane, stream: seen.stream ?? null, whole: seen.whole ?? false, note };
}

async function insertAll(
  context: MendContext,
  { lane, stream, whole, note }: LaneShape,
  ranges: readonly LoadedRange[],
): Promise<void> {
  for (const { batchId, from, to } of ranges) {
    const about = { batchId, run: 'live', source: context.name, lane, from, to, stream, whole };
    const deliveries = deliveriesOf(context, batchId);
    await insertRecovered(context.tx, { ...about, memo: await note(to), deliveries });
  }
}

function deliveriesOf(
  { destinations, findings }: MendContext,
  batchId: string,
): readonly RecoveredDelivery[] {
  const rows = new Map<string, LedgerRow>();
  for (const { destination, unknown } of findings) {
    const row = unknown.find((candidate) => candidate.batchId === batchId);
    if (row) rows.set(destination, row);
  }
  const names = new Set([...destinations, ...rows.keys()]);
  return [...names].map((destination) => ({ destination, row: rows.get(destination) ?? null }));
}

async function liftIntake(
  { tx, name, hasIntake }: MendContext,
  { lane, rows, mend }: LedgerLane & { readonly mend: LaneMend },
): Promise<number> {
  if (!hasIntake || lane !== intakeLane) return 0;
  const lastLoadedAt = rows.map(({ loadedAt }) => loadedAt).reduce((a, b) => (a > b ? a : b));
  return liftChunks(tx, { source: name, next: intakeChunk(mend.head), lastLoadedAt });
}

/** What is still in the intake must not be lost with what is not. */
async function cutGaps(
  { tx, name, hasIntake }: MendContext,
  lane: string,
  { gaps }: LaneMend,
): Promise<LaneMend['gaps']> {
  if (!hasIntake || lane !== intakeLane) return gaps;
  const cut = [];
  for (const { from, to } of gaps) {
    const range = { source: name, from: intakeChunk(from), to: intakeChunk(to) };
    const missing = intakePosition(await firstMissingChunk(tx, range));
    if (missing > from) cut.push({ from, to: missing < to ? missing : to });
    if (missing < to) cut.push({ from: missing > from ? missing : from, to });
  }
  return cut;
}

/** Batches of restreams and backfills: their rows count, nothing goes on from them. */
export async function adoptOthers(
  { tx, findings }: Pick<MendContext, 'tx' | 'findings'>,
  rows: readonly LedgerRow[],
): Promise<number> {
  const batches = Map.groupBy(rows, ({ batchId }) => batchId);
  for (const [batchId, [row]] of batches) {
    if (!row) continue;
    const { source, lane, from, to } = row;
    const run = batchId.split('/').slice(0, 2).join('/');
    const deliveries = findings.flatMap(({ destination, unknown }) => {
      const own = unknown.find((candidate) => candidate.batchId === batchId);
      return own ? [{ destination, row: own }] : [];
    });
    const about = { stream: null, whole: false, memo: '' };
    await insertRecovered(tx, { batchId, run, source, lane, from, to, ...about, deliveries });
  }
  return batches.size;
}
