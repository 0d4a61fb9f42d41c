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
 * Says again which rows of a loaded batch the destination refused, and leaves everything as it is:
 * a restored catalog has forgotten them.
 */
export async function rehearseBatch(
  destination: Destination,
  { request, parts }: BatchToLoad,
  callbacks: Pick<LoadCallbacks, 'onRefused'>,
): Promise<void> {
  await using transaction = await destination.beginLoad(request);
  await transaction.fence();
  await transaction.lockTables();
  for (const { rows, ordinals } of parts) {
    const { refused } = await copyIsolating(transaction, rows);
    const failures = refused.map((row) => toFailure(row, rows.mapping, ordinals));
    if (failures.length > 0) await callbacks.onRefused(failures);
    request.signal.throwIfAborted();
  }
}

async function copyParts(
  transaction: LoadTransaction,
  { request, parts, failuresBefore, duplicates, superseded: overtaken, ...batch }: CurrentBatch,
  callbacks: LoadCallbacks,
): Promise<LedgerRow> {
  const failed = [...failuresBefore];
  const rowsDiscarded = batch.discarded?.size ?? 0;
  const tables: Record<string, number> = {};
  let [rowsLoaded, rowsDuplicate, rowsSuperseded] = [0, duplicates, overtaken];
  for (const { rows, ordinals } of parts) {
    const { loaded, duplicate, superseded, refused } = await copyIsolating(transaction, rows);
    const failures = refused.map((row) => toFailure(row, rows.mapping, ordinals));
    if (failures.length > 0) await callbacks.onRefused(failures);
    for (const failure of failures) failed.push(failure); // there may be too many for arguments
    const { schema, name } = rows.mapping.table;
    tables[`${schema}.${name}`] = (tables[`${schema}.${name}`] ?? 0) + loaded;
    rowsLoaded += loaded;
    rowsDuplicate += duplicate;
    rowsSuperseded += superseded;
    callbacks.onProgress({ rows: rowsLoaded, bytes: 0 });
    request.signal.throwIfAborted();
  }
  return transaction.conclude({
    rowsLoaded,
    rowsDuplicate,
    rowsSuperseded,
    rowsFailed: failed.length,
    rowsDiscarded,
    failedSha256: hashFailures(failed),
    tables,
  });
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
