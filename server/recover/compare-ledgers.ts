import type { Destination, LedgerRow } from '../../core/destination.ts';
import {
  pageSettled,
  unknownBatches,
  type SettledDelivery,
} from '../../store/catalog/backup-checks.ts';
import type { Catalog } from '../../store/catalog/catalog.ts';
import { listUnfinished } from '../../store/catalog/recoveries.ts';

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
  /** Rows of deliveries that cannot be finished: their failed events cannot be read any more. */
  readonly unfinished: readonly LedgerRow[];
}

const pageRows = 500;
const signal = AbortSignal.timeout.bind(AbortSignal);
const pageTimeoutMs = 60_000;

/** Everything in which the catalog and the ledger of one destination differ, for one source. */
export async function compareLedger(
  catalog: Catalog,
  { name, destination }: OpenLedger,
  at: { readonly source: string; readonly since: Date },
): Promise<LedgerFinding> {
  const { source } = at;
  const unfinished = await listUnfinished(catalog, { source, destination: name });
  return {
    destination: name,
    unknown: await findUnknown(catalog, { name, destination }, source),
    missing: await findMissing(catalog, { name, destination }, at),
    unfinished: await readRows(destination, unfinished),
  };
}

/** The ledger first: what it has was planned before, by a catalog that remembers. */
async function findUnknown(
  catalog: Catalog,
  { name, destination }: OpenLedger,
  source: string,
): Promise<readonly LedgerRow[]> {
  const found: LedgerRow[] = [];
  for (let after: string | undefined = ''; after !== undefined;) {
    const page = { source, after, limit: pageRows };
    const rows = await destination.pageLedger(page, signal(pageTimeoutMs));
    const batchIds = rows.map(({ batchId }) => batchId);
    const unknown = await unknownBatches(catalog, { destination: name, batchIds });
    found.push(...rows.filter(({ batchId }) => unknown.has(batchId)));
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
