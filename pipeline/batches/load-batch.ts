import type { Destination, LedgerRow, LoadTransaction } from '../../core/destination.ts';
import type { EventFailure } from '../../core/failed-events.ts';
import { failpoint } from '../../core/failpoints.ts';
import type { DataFailureKind } from '../../core/failures.ts';
import type { Mapping } from '../../core/mapping.ts';
import { hashFailures } from './failures-hash.ts';
import type { BatchToLoad, LoadCallbacks } from './batch-to-load.ts';
import { dropDiscarded } from './drop-discarded.ts';
import { dropOvertaken, type CurrentBatch } from './drop-overtaken.ts';
import { dropResent } from './drop-resent.ts';
import { copyIsolating, type RefusedRow } from './isolate-rows.ts';
import { sameContent } from './same-content.ts';
import { withoutStanding } from './without-standing.ts';

/**
 * Loads all tables of a batch in one transaction, once: fence, locks, ledger row, shape of
 * the tables, rows, commit. A
 * batch that is in the ledger already is left as it is. Answers the ledger row that stands.
 * @throws PipelineError `ledger-conflict` when the ledger holds other content under this id;
 *   what the destination throws. Repeating is always safe.
 */
export async function loadBatch(
  destination: Destination,
  batch: BatchToLoad,
  callbacks: LoadCallbacks,
): Promise<LedgerRow> {
  await using transaction = await destination.beginLoad(batch.request);
  await transaction.fence();
  await failpoint('fence-taken');
  await transaction.lockTables();
  const standing = await transaction.claim();
  if (standing) return sameContent(standing, batch.request);
  await transaction.holdTables(batch.parts.map(({ rows }) => rows.mapping));
  await failpoint('ledger-inserted');
  const fresh = await dropResent(transaction, dropDiscarded(batch), callbacks);
  const current = await dropOvertaken(transaction, fresh);
  const row = await copyParts(transaction, current, callbacks);
  await failpoint('before-commit');
  await transaction.commit();
  await failpoint('commit-unread');
  return row;
}

/**
 * Says again which events of a loaded batch failed in its load, and leaves everything as it is: a
 * restored catalog has forgotten them. The load is taken back, done again and left without commit.
 */
export async function rehearseBatch(
  destination: Destination,
  batch: BatchToLoad,
  callbacks: LoadCallbacks,
): Promise<void> {
  await using transaction = await destination.beginLoad(batch.request);
  await transaction.fence();
  await transaction.lockTables();
  await transaction.takeBack();
  // Rows of an older refresh are looked at too, though a newer one is there by now.
  const fresh = await dropResent(transaction, dropDiscarded(batch), callbacks);
  await copyParts(transaction, { ...fresh, superseded: 0 }, callbacks);
}

async function copyParts(
  transaction: LoadTransaction,
  batch: CurrentBatch,
  callbacks: LoadCallbacks,
): Promise<LedgerRow> {
  const { tables, refused, ...copied } = await copyAll(transaction, batch, callbacks);
  const { failed, duplicates, superseded } = await withoutStanding(
    transaction,
    { mark: batch.mark, failed: [...batch.failuresBefore, ...refused], others: batch.conflicts },
    callbacks,
  );
  return transaction.conclude({
    rowsLoaded: copied.loaded,
    rowsDuplicate: batch.duplicates + copied.duplicate + duplicates,
    rowsSuperseded: batch.superseded + copied.superseded + superseded,
    rowsFailed: failed.length,
    rowsDiscarded: batch.discarded?.size ?? 0,
    failedSha256: hashFailures(failed),
    tables,
  });
}

async function copyAll(
  transaction: LoadTransaction,
  { request, parts }: CurrentBatch,
  callbacks: LoadCallbacks,
) {
  const refused: EventFailure[] = [];
  const tables: Record<string, number> = {};
  let [loaded, duplicate, superseded] = [0, 0, 0];
  for (const { rows, ordinals } of parts) {
    const copied = await copyIsolating(transaction, rows);
    const failures = copied.refused.map((row) => toFailure(row, rows.mapping, ordinals));
    if (failures.length > 0) await callbacks.onRefused(failures);
    for (const failure of failures) refused.push(failure); // there may be too many for arguments
    const { schema, name } = rows.mapping.table;
    tables[`${schema}.${name}`] = (tables[`${schema}.${name}`] ?? 0) + copied.loaded;
    loaded += copied.loaded;
    duplicate += copied.duplicate;
    superseded += copied.superseded;
    callbacks.onProgress({ rows: loaded, bytes: 0 });
    request.signal.throwIfAborted();
  }
  return { loaded, duplicate, superseded, refused, tables };
}

const kindsBySqlState: Readonly<Record<string, DataFailureKind>> = {
  '22001': 'value-too-long',
  '22003': 'out-of-range',
  '22021': 'unrepresentable',
  '22P05': 'unrepresentable',
  '23502': 'missing-required',
};

function toFailure(refused: RefusedRow, mapping: Mapping, ordinals: Uint32Array): EventFailure {
  const { row, sqlState, column, message } = refused;
  const mapped = mapping.columns.find((candidate) => candidate.column === column);
  return {
    ordinal: ordinals[row] ?? 0,
    child: 0,
    stage: 'load',
    kind: kindsBySqlState[sqlState] ?? 'destination-rejected',
    sqlState,
    message,
    ...(mapped && { field: mapped.path, expected: mapped.type }),
  };
}
