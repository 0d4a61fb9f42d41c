import type { LedgerRow } from '../../core/destination.ts';
import type { FailedEvent } from '../../core/failed-events.ts';
import { batchIdOf } from '../../pipeline/batches/batch-id.ts';
import { hashFailures } from '../../pipeline/batches/failures-hash.ts';
import { fingerprintOf } from '../../pipeline/review/fingerprint.ts';
import type { Catalog } from '../../store/catalog/catalog.ts';
import { insertManifest, type Manifest } from '../../store/catalog/extracts.ts';
import { recordFailures } from '../../store/catalog/failures.ts';
import { insertLane } from '../../store/catalog/lanes.ts';
import { recordPlan } from '../../store/catalog/plans.ts';
import { settleDelivery } from '../../store/catalog/settle.ts';

/** Plans `shop/<lane>` from `from` in ranges of one, as one planner does. */
export function planLane(
  catalog: Catalog,
  { lane, from, ranges }: { lane: string; from: number; ranges: number },
): Promise<boolean> {
  const at = { source: 'shop', lane };
  return recordPlan(catalog, {
    ...at,
    from: String(from),
    memo: `after ${from + ranges}`,
    destinations: ['one', 'two'],
    ranges: Array.from({ length: ranges }, (_, n) => {
      const range = { from: String(from + n), to: String(from + n + 1) };
      return { ...range, bytes: 10, batchId: batchIdOf({ run: 'live', ...at, ...range }) };
    }),
  });
}

/** A batch of its own that is planned; answers its id. */
export async function planBatch(catalog: Catalog, lane: string): Promise<string> {
  await insertLane(catalog, { source: 'shop', lane, start: '0', memo: '' });
  await planLane(catalog, { lane, from: 0, ranges: 1 });
  return `shop/${lane}/0..1`;
}

export function manifestOf(batchId: string, attempt: string): Manifest {
  return {
    batchId,
    generation: 1,
    attempt,
    stagingKey: `key of ${batchId}`,
    stagedName: attempt,
    stagedBytes: 1,
    sha256: attempt,
    events: 10,
    eventBytes: 100,
    profile: [],
    premapped: [],
  };
}

export function extractedBy(catalog: Catalog, batchId: string, attempt: string): Promise<Manifest> {
  return insertManifest(catalog, manifestOf(batchId, attempt));
}

export interface Failures {
  readonly batchId: string;
  readonly destination: string;
  readonly attempt: string;
  readonly ordinals: readonly number[];
  readonly field?: string;
}

export function failAt(catalog: Catalog, failures: Failures): Promise<void> {
  const { batchId, destination, attempt, ordinals, field = 'amount' } = failures;
  const origin = { batchId, destination, attempt, source: 'shop', lane: 'lane' };
  const events = ordinals.map((ordinal): FailedEvent => ({
    ordinal,
    child: 0,
    stage: 'map',
    kind: 'type-mismatch',
    field,
    expected: 'int64',
    observed: 'text',
    message: 'no number',
    stream: 'orders',
    eventId: `${batchId}/${ordinal}`,
    raw: Buffer.from(`{"ordinal":${ordinal}}`),
    context: { format: { kind: 'json' } },
    version: String(ordinal),
  }));
  return recordFailures(catalog, origin, events);
}

/** What the ledger of a destination says of a load whose map attempt had these failures. */
export function ledgerRow({ batchId, attempt, ordinals }: Failures): LedgerRow {
  return {
    batchId,
    source: 'shop',
    lane: 'lane',
    from: '0',
    to: '1',
    extractSha256: 'x',
    mapAttempt: attempt,
    loadAttempt: `load after ${attempt}`,
    rowsLoaded: 10 - ordinals.length,
    rowsDuplicate: 0,
    rowsSuperseded: 0,
    rowsFailed: ordinals.length,
    rowsDiscarded: 0,
    failedSha256: hashFailures(ordinals.map((ordinal) => ({ ordinal, child: 0 }))),
    tables: { 'shop.orders': 10 - ordinals.length },
    mappingVersions: { orders: 1 },
    loadedAt: new Date(0).toISOString(),
  };
}

export function settle(catalog: Catalog, failures: Failures) {
  const { batchId, destination } = failures;
  const row = ledgerRow(failures);
  return settleDelivery(catalog, {
    batchId,
    destination,
    row,
    groupOf: fingerprintOf,
    hashOf: hashFailures,
  });
}

/** Groups whose counters differ from their records: there must be none. */
export async function wrongGroups(catalog: Catalog): Promise<readonly unknown[]> {
  const { rows } = await catalog.query(
    `SELECT g.group_id FROM millrace.failure_groups g
       LEFT JOIN (SELECT group_id, count(*) FILTER (WHERE state = 'open') AS open,
                         count(*) FILTER (WHERE state = 'restreaming') AS restreaming
                    FROM millrace.failure_records GROUP BY group_id) r USING (group_id)
      WHERE (g.open_count, g.restreaming_count)
            IS DISTINCT FROM (coalesce(r.open, 0), coalesce(r.restreaming, 0))`,
  );
  return rows;
}
