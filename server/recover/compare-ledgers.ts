import type { Destination, LedgerRow } from '../../core/destination.ts';
import {
  pageSettled,
  unknownBatches,
  type SettledDelivery,
} from '../../store/catalog/backup-checks.ts';
import type { Catalog } from '../../store/catalog/catalog.ts';
import { listUnfinished, openBatches } from '../../store/catalog/recoveries.ts';

export interface OpenLedger {
  readonly name: string;
  readonly destination: Destination;
}

export interface LedgerFinding {
  readonly destination: string;
  /** Rows of batches that the catalog does not know. */
  readonly unknown: readonly LedgerRow[];
  /** Batches that the catalog counts as loaded and that are not there. */
  readonly missing: readonly string[];
  /** Rows of deliveries that cannot be finished: they cannot be read again as they were. */
  readonly unfinished: readonly LedgerRow[];
  /** Rows of deliveries that are on their way in the catalog, and loaded without a failed event. */
  readonly loaded: readonly LedgerRow[];
}

const pageRows = 500;
const signal = AbortSignal.timeout.bind(AbortSignal);
const pageTimeoutMs = 60_000;

/** Everything in which the catalog and the ledger of one destination differ, for one source. */
export async function compareLedger(
  catalog: Catalog,
  { name, destination }: OpenLedger,
  at: { readonly source: string; readonly since: Date; readonly hasIntake: boolean },
): Promise<LedgerFinding> {
  const { source, hasIntake } = at;
  const unfinished = await listUnfinished(catalog, { source, destination: name, hasIntake });
  const { unknown, loaded } = await findAhead(catalog, { name, destination }, source);
  return {
    destination: name,
    unknown,
    // An older catalog may have given the number of a chunk a second time, to other events.
    loaded: hasIntake ? [] : loaded,
    missing: await findMissing(catalog, { name, destination }, at),
    unfinished: await readRows(destination, unfinished),
  };
}

/** The ledger first: what it has was planned before, by a catalog that remembers. */
async function findAhead(
  catalog: Catalog,
  { name, destination }: OpenLedger,
  source: string,
): Promise<Pick<LedgerFinding, 'unknown' | 'loaded'>> {
  const found = { unknown: [] as LedgerRow[], loaded: [] as LedgerRow[] };
  for (let after: string | undefined = ''; after !== undefined;) {
    const page = { source, after, limit: pageRows };
    const rows = await destination.pageLedger(page, signal(pageTimeoutMs));
    const batchIds = rows.map(({ batchId }) => batchId);
    const unknown = await unknownBatches(catalog, { destination: name, batchIds });
    found.unknown.push(...rows.filter(({ batchId }) => unknown.has(batchId)));
    const full = rows.filter(({ rowsFailed }) => rowsFailed === 0).map(({ batchId }) => batchId);
    const open = await openBatches(catalog, { source, destination: name, batchIds: full });
    found.loaded.push(...rows.filter(({ batchId }) => open.has(batchId)));
    after = rows.length < pageRows ? undefined : rows.at(-1)?.batchId;
  }
  return found;
}

/** The catalog first: what is settled there was committed before, in a warehouse that remembers. */
async function findMissing(
  catalog: Catalog,
  { name, destination }: OpenLedger,
  { source, since }: { readonly source: string; readonly since: Date },
): Promise<readonly string[]> {
  const missing: string[] = [];
  let before: SettledDelivery | undefined;
  do {
    const page = { destination: name, since, before, limit: pageRows };
    const settled = await pageSettled(catalog, page);
    const own = settled.filter((delivery) => delivery.source === source);
    const ids = own.map(({ batchId }) => batchId);
    const present = new Set((await readRows(destination, ids)).map(({ batchId }) => batchId));
    missing.push(...ids.filter((id) => !present.has(id)));
    before = settled.length < pageRows ? undefined : settled.at(-1);
  } while (before);
  return missing;
}

export async function readRows(
  destination: Destination,
  batchIds: readonly string[],
): Promise<readonly LedgerRow[]> {
  if (batchIds.length === 0) return [];
  return destination.readLedger(batchIds, signal(pageTimeoutMs));
}
